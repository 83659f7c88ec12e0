#include "worker/address_limits.h"

#include <sys/queue.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define WHOLE_TOKEN 1000
#define ALL_TOKENS UINT32_MAX /* a full bucket, whatever the rate */

struct key {
	uint64_t network; /* an IPv4 address, or the first half of an IPv6 one */
	uint32_t scope;   /* listener * 2 + (1: IPv6) */
};

struct entry {
	struct key key;
	uint32_t connections;
	uint32_t tokens;    /* left of accept_rate, in 1/WHOLE_TOKEN... */
	uint32_t filled_ms; /* ...at this time */
	SLIST_ENTRY(entry) chained;
	TAILQ_ENTRY(entry) idle; /* while it has no connections */
};

SLIST_HEAD(chain, entry);

struct address_limits {
	struct ledger *ledger; /* of all workers; NULL: this worker alone */
	uint32_t ledger_entry;
	struct worker_ledger *worker_ledger;
	uint64_t factor, addend; /* of the hash; secret */
	unsigned shift;
	struct chain *chains;
	struct entry *all;
	size_t capacity, used;
	TAILQ_HEAD(entry_list, entry) idle; /* without connections, the oldest first */
};

struct address_limits *
address_limits_create(size_t capacity, struct ledger *ledger, uint32_t ledger_entry,
    struct worker_ledger *worker_ledger)
{
	uint64_t secrets[2];
	if (getrandom(secrets, sizeof(secrets), 0) != (ssize_t)sizeof(secrets))
		return NULL;
	struct address_limits *limits = calloc(1, sizeof(*limits));
	if (limits == NULL)
		return NULL;
	unsigned bits = 1;
	while ((UINT64_C(1) << bits) < capacity)
		bits++;
	limits->ledger = ledger;
	limits->ledger_entry = ledger_entry;
	limits->worker_ledger = worker_ledger;
	limits->factor = secrets[0] | 1;
	limits->addend = secrets[1];
	limits->shift = 64 - bits;
	limits->capacity = capacity;
	TAILQ_INIT(&limits->idle);
	limits->chains = calloc(UINT64_C(1) << bits, sizeof(*limits->chains));
	/* Pages of unused entries are not allocated until they are touched. */
	limits->all = calloc(capacity, sizeof(*limits->all));
	if (limits->chains != NULL && limits->all != NULL)
		return limits;
	address_limits_destroy(limits);
	return NULL;
}

void
address_limits_destroy(struct address_limits *limits)
{
	if (limits == NULL)
		return;
	free(limits->chains);
	free(limits->all);
	free(limits);
}

static struct key
key_of(uint32_t listener, const struct address_compact *peer)
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

/* Multiply-shift hashing with secret numbers, so that clients cannot choose addresses
 * that collide. */
static struct chain *
chain_of(struct address_limits *limits, const struct key *key)
{
	uint64_t folded = key->network ^ (key->network >> 32) * limits->addend;
	uint64_t hash = (folded + key->scope) * limits->factor + limits->addend;
	return &limits->chains[hash >> limits->shift];
}

static struct entry *
find(struct address_limits *limits, const struct key *key)
{
	struct entry *entry = SLIST_FIRST(chain_of(limits, key));
	while (entry != NULL &&
	    (entry->key.network != key->network || entry->key.scope != key->scope))
		entry = SLIST_NEXT(entry, chained);
	return entry;
}

/* A free entry, if need be that of the address that has been idle for longest; NULL
 * when every address has connections. */
static struct entry *
take_entry(struct address_limits *limits)
{
	if (limits->used < limits->capacity)
		return &limits->all[limits->used++];
	struct entry *entry = TAILQ_FIRST(&limits->idle);
	if (entry == NULL)
		return NULL;
	TAILQ_REMOVE(&limits->idle, entry, idle);
	SLIST_REMOVE(chain_of(limits, &entry->key), entry, entry, chained);
	return entry;
}

/* The entry of the key, perhaps a new one; NULL when the table is full. */
static struct entry *
find_or_add(struct address_limits *limits, const struct key *key)
{
	struct entry *entry = find(limits, key);
	if (entry != NULL || (entry = take_entry(limits)) == NULL)
		return entry;
	*entry = (struct entry){ .key = *key, .tokens = ALL_TOKENS };
	SLIST_INSERT_HEAD(chain_of(limits, key), entry, chained);
	TAILQ_INSERT_TAIL(&limits->idle, entry, idle);
	return entry;
}

static uint64_t
usage_id_of(const struct address_limits *limits, const struct key *key)
{
	return address_usage_id(
	    &limits->ledger->shared->address_usage_key, key->network, key->scope);
}

/* Publishes this address's counts to the other workers. */
static void
publish_connections(const struct address_limits *limits, const struct entry *entry)
{
	if (limits->ledger != NULL)
		address_usage_set_connections(&limits->worker_ledger->address_usage,
		    usage_id_of(limits, &entry->key), entry->connections);
}

static void
publish_accept(
    const struct address_limits *limits, const struct key *key, uint32_t second)
{
	if (limits->ledger != NULL)
		address_usage_count_accept(&limits->worker_ledger->address_usage,
		    usage_id_of(limits, key), second);
}

static struct address_usage_count
usage_of_others(
    const struct address_limits *limits, const struct key *key, uint32_t second)
{
	if (limits->ledger == NULL)
		return (struct address_usage_count){ 0 };
	return ledger_address_usage_elsewhere(
	    limits->ledger, limits->ledger_entry, usage_id_of(limits, key), second);
}

static uint64_t
own_accepts(const struct address_limits *limits, const struct key *key, uint32_t second)
{
	struct address_usage_count count = { 0 };
	if (limits->ledger != NULL)
		address_usage_add(&count, &limits->worker_ledger->address_usage,
		    usage_id_of(limits, key), second);
	return count.accepts;
}

/* A token bucket that holds one second's worth; each connection takes one token. */
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
address_limits_check(struct address_limits *limits, uint32_t listener,
    const struct listener_config *config, const struct address_compact *peer,
    uint32_t now_ms)
{
	if (!address_limits_are_set(config))
		return CLOSE_NONE;
	struct key key = key_of(listener, peer);
	struct entry *entry = find_or_add(limits, &key);
	if (entry == NULL)
		return CLOSE_ADDRESS_LIMIT;
	if (entry->connections == 0) {
		TAILQ_REMOVE(&limits->idle, entry, idle);
		TAILQ_INSERT_TAIL(&limits->idle, entry, idle);
	}
	uint32_t limit = config->max_connections_per_address;
	uint32_t rate = config->accept_rate, second = now_ms / 1000;
	struct address_usage_count others = usage_of_others(limits, &key, second);
	uint64_t accepts = others.accepts + own_accepts(limits, &key, second);
	if (rate != 0 && (accepts >= rate || !take_token(entry, rate, now_ms)))
		return CLOSE_ACCEPT_RATE;
	if (rate != 0)
		publish_accept(limits, &key, second);
	return limit != 0 && entry->connections + others.connections >= limit
	    ? CLOSE_ADDRESS_LIMIT
	    : CLOSE_NONE;
}

void
address_limits_add(struct address_limits *limits, uint32_t listener,
    const struct address_compact *peer)
{
	struct key key = key_of(listener, peer);
	struct entry *entry = find_or_add(limits, &key);
	if (entry == NULL)
		return;
	if (entry->connections++ == 0)
		TAILQ_REMOVE(&limits->idle, entry, idle);
	publish_connections(limits, entry);
}

void
address_limits_remove(struct address_limits *limits, uint32_t listener,
    const struct address_compact *peer)
{
	struct key key = key_of(listener, peer);
	struct entry *entry = find(limits, &key);
	if (entry == NULL || entry->connections == 0)
		return;
	if (--entry->connections == 0)
		TAILQ_INSERT_TAIL(&limits->idle, entry, idle);
	publish_connections(limits, entry);
}
