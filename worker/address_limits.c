#include "worker/address_limits.h"

#include <sys/random.h>
#include <sys/socket.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESS_NONE 0 /* places are counted from 1 */
#define WHOLE_TOKEN 1000
#define ALL_TOKENS UINT32_MAX /* as many as may be saved up */

/* Who it is. */
struct key {
	uint64_t network; /* an IPv4 address, or the first half of an IPv6 one */
	uint32_t scope;   /* listener * 2 + (1: IPv6) */
};

struct entry {
	struct key key;
	uint32_t connections;
	uint32_t tokens;       /* of WHOLE_TOKEN: what is left of accept_rate... */
	uint32_t filled_ms;    /* ...at this time */
	uint32_t next;         /* in its chain */
	uint32_t older, newer; /* among those without connections */
};

struct address_limits {
	const struct ledger *ledger; /* of all workers; NULL: this one is alone */
	struct worker_ledger *worker_ledger;
	uint64_t factor, addend; /* of the hash; nobody outside knows them */
	unsigned shift;
	uint32_t *chains;
	struct entry *all; /* all[0] is nobody */
	uint32_t capacity, used;
	uint32_t oldest, newest; /* without connections */
};

struct address_limits *
address_limits_create(
    size_t capacity, const struct ledger *ledger, struct worker_ledger *worker_ledger)
{
	uint64_t secrets[2];
	if (getrandom(secrets, sizeof(secrets), 0) != (ssize_t)sizeof(secrets))
		return NULL;
	struct address_limits *address_limits = calloc(1, sizeof(*address_limits));
	if (address_limits == NULL)
		return NULL;
	unsigned bits = 1;
	while ((UINT64_C(1) << bits) < capacity)
		bits++;
	address_limits->ledger = ledger;
	address_limits->worker_ledger = worker_ledger;
	address_limits->factor = secrets[0] | 1;
	address_limits->addend = secrets[1];
	address_limits->shift = 64 - bits;
	address_limits->capacity = (uint32_t)capacity;
	address_limits->chains =
	    calloc(UINT64_C(1) << bits, sizeof(*address_limits->chains));
	/* Places that nobody took are no memory yet. */
	address_limits->all = calloc(capacity + 1, sizeof(*address_limits->all));
	if (address_limits->chains != NULL && address_limits->all != NULL)
		return address_limits;
	address_limits_destroy(address_limits);
	return NULL;
}

void
address_limits_destroy(struct address_limits *address_limits)
{
	if (address_limits == NULL)
		return;
	free(address_limits->chains);
	free(address_limits->all);
	free(address_limits);
}

static struct key
key_of(uint32_t listener, const struct peer *peer)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct key key = { .scope = listener * 2 };
	const uint8_t *ipv4 = peer->bytes;
	if (peer->family == AF_INET6 &&
	    memcmp(peer->bytes, mapped, sizeof(mapped)) == 0)
		ipv4 = peer->bytes + sizeof(mapped);
	if (peer->family == AF_INET6 && ipv4 == peer->bytes) {
		memcpy(&key.network, peer->bytes, sizeof(key.network));
		key.scope++;
	} else {
		memcpy(&key.network, ipv4, 4);
	}
	return key;
}

/* Multiply and shift by secret numbers: nobody can choose addresses that collide. */
static uint32_t *
chain_of(struct address_limits *address_limits, const struct key *key)
{
	uint64_t folded = key->network ^ (key->network >> 32) * address_limits->addend;
	uint64_t hash =
	    (folded + key->scope) * address_limits->factor + address_limits->addend;
	return &address_limits->chains[hash >> address_limits->shift];
}

static uint32_t
find(struct address_limits *address_limits, const struct key *key)
{
	uint32_t at = *chain_of(address_limits, key);
	while (at != ADDRESS_NONE &&
	    (address_limits->all[at].key.network != key->network ||
		address_limits->all[at].key.scope != key->scope))
		at = address_limits->all[at].next;
	return at;
}

/* --- those without connections, by how long ago they were here --- */

static void
idle_list_add(struct address_limits *address_limits, uint32_t at)
{
	struct entry *entry = &address_limits->all[at];
	entry->newer = ADDRESS_NONE;
	entry->older = address_limits->newest;
	if (address_limits->newest != ADDRESS_NONE)
		address_limits->all[address_limits->newest].newer = at;
	else
		address_limits->oldest = at;
	address_limits->newest = at;
}

static void
idle_list_remove(struct address_limits *address_limits, uint32_t at)
{
	const struct entry *entry = &address_limits->all[at];
	if (entry->newer != ADDRESS_NONE)
		address_limits->all[entry->newer].older = entry->older;
	else
		address_limits->newest = entry->older;
	if (entry->older != ADDRESS_NONE)
		address_limits->all[entry->older].newer = entry->newer;
	else
		address_limits->oldest = entry->newer;
}

/* --- places --- */

static uint32_t
evict_oldest(struct address_limits *address_limits)
{
	uint32_t at = address_limits->oldest;
	if (at == ADDRESS_NONE)
		return ADDRESS_NONE;
	idle_list_remove(address_limits, at);
	uint32_t *link = chain_of(address_limits, &address_limits->all[at].key);
	while (*link != at)
		link = &address_limits->all[*link].next;
	*link = address_limits->all[at].next;
	return at;
}

/* The place of the one of that name, who may be new; NOBODY when there is none. */
static uint32_t
find_or_add(struct address_limits *address_limits, const struct key *key)
{
	uint32_t at = find(address_limits, key);
	if (at != ADDRESS_NONE)
		return at;
	at = address_limits->used < address_limits->capacity
	    ? ++address_limits->used
	    : evict_oldest(address_limits);
	if (at == ADDRESS_NONE)
		return ADDRESS_NONE;
	uint32_t *chain = chain_of(address_limits, key);
	address_limits->all[at] =
	    (struct entry){ .key = *key, .tokens = ALL_TOKENS, .next = *chain };
	*chain = at;
	idle_list_add(address_limits, at);
	return at;
}

/* --- what the workers tell each other --- */

static uint64_t
usage_id_of(const struct address_limits *address_limits, const struct key *key)
{
	return address_usage_id(
	    &address_limits->ledger->address_usage_key, key->network, key->scope);
}

static void
publish_connections(
    const struct address_limits *address_limits, const struct entry *entry)
{
	if (address_limits->ledger != NULL)
		address_usage_set_connections(
		    &address_limits->worker_ledger->address_usage,
		    usage_id_of(address_limits, &entry->key), entry->connections);
}

static void
publish_accept(
    const struct address_limits *address_limits, const struct key *key, uint32_t second)
{
	if (address_limits->ledger != NULL)
		address_usage_count_accept(
		    &address_limits->worker_ledger->address_usage,
		    usage_id_of(address_limits, key), second);
}

static struct address_usage_count
usage_of_others(
    const struct address_limits *address_limits, const struct key *key, uint32_t second)
{
	if (address_limits->ledger == NULL)
		return (struct address_usage_count){ 0 };
	return ledger_address_usage_elsewhere(address_limits->ledger,
	    address_limits->worker_ledger, usage_id_of(address_limits, key), second);
}

static uint64_t
own_accepts(
    const struct address_limits *address_limits, const struct key *key, uint32_t second)
{
	struct address_usage_count count = { 0 };
	if (address_limits->ledger != NULL)
		address_usage_add(&count, &address_limits->worker_ledger->address_usage,
		    usage_id_of(address_limits, key), second);
	return count.accepts;
}

/* --- what one may do --- */

/* A second's worth of tokens can be saved up; each connection takes one. */
static bool
take_token(struct entry *entry, uint32_t rate, uint32_t now_ms)
{
	uint64_t limit = (uint64_t)rate * WHOLE_TOKEN;
	uint64_t gained = (uint64_t)(uint32_t)(now_ms - entry->filled_ms) * rate;
	uint64_t tokens = entry->tokens + gained;
	if (tokens > limit || entry->tokens == ALL_TOKENS)
		tokens = limit;
	bool is_enough = tokens >= WHOLE_TOKEN;
	entry->tokens = (uint32_t)(is_enough ? tokens - WHOLE_TOKEN : tokens);
	entry->filled_ms = now_ms;
	return is_enough;
}

enum close_reason
address_limits_check(struct address_limits *address_limits, uint32_t listener,
    const struct listener_config *config, const struct peer *peer, uint32_t now_ms)
{
	if (!address_limits_are_set(config))
		return CLOSE_REASON_COUNT;
	struct key key = key_of(listener, peer);
	uint32_t at = find_or_add(address_limits, &key);
	if (at == ADDRESS_NONE)
		return CLOSE_ADDRESS_LIMIT;
	struct entry *entry = &address_limits->all[at];
	if (entry->connections == 0) {
		idle_list_remove(address_limits, at);
		idle_list_add(address_limits, at);
	}
	uint32_t limit = config->max_connections_per_address;
	uint32_t rate = config->accept_rate, second = now_ms / 1000;
	struct address_usage_count others =
	    usage_of_others(address_limits, &key, second);
	uint64_t accepts = others.accepts + own_accepts(address_limits, &key, second);
	if (rate != 0 && (accepts >= rate || !take_token(entry, rate, now_ms)))
		return CLOSE_ACCEPT_RATE;
	if (rate != 0)
		publish_accept(address_limits, &key, second);
	return limit != 0 && entry->connections + others.connections >= limit
	    ? CLOSE_ADDRESS_LIMIT
	    : CLOSE_REASON_COUNT;
}

void
address_limits_add(
    struct address_limits *address_limits, uint32_t listener, const struct peer *peer)
{
	struct key key = key_of(listener, peer);
	uint32_t at = find_or_add(address_limits, &key);
	if (at == ADDRESS_NONE)
		return;
	if (address_limits->all[at].connections++ == 0)
		idle_list_remove(address_limits, at);
	publish_connections(address_limits, &address_limits->all[at]);
}

void
address_limits_remove(
    struct address_limits *address_limits, uint32_t listener, const struct peer *peer)
{
	struct key key = key_of(listener, peer);
	uint32_t at = find(address_limits, &key);
	if (at == ADDRESS_NONE || address_limits->all[at].connections == 0)
		return;
	if (--address_limits->all[at].connections == 0)
		idle_list_add(address_limits, at);
	publish_connections(address_limits, &address_limits->all[at]);
}
