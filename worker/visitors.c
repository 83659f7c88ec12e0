#include "worker/visitors.h"

#include <sys/random.h>
#include <sys/socket.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NOBODY 0 /* places are counted from 1 */
#define WHOLE_TOKEN 1000
#define ALL_TOKENS UINT32_MAX /* as many as may be saved up */

/* Who it is. */
struct key {
	uint64_t network; /* an IPv4 address, or the first half of an IPv6 one */
	uint32_t scope;   /* listener * 2 + (1: IPv6) */
};

struct visitor {
	struct key key;
	uint32_t connections;
	uint32_t tokens;       /* of WHOLE_TOKEN: what is left of accept_rate... */
	uint32_t filled_ms;    /* ...at this time */
	uint32_t next;         /* in its chain */
	uint32_t older, newer; /* among those without connections */
};

struct visitors {
	const struct ledger *ledger; /* of all workers; NULL: this one is alone */
	struct worker_ledger *worker_ledger;
	uint64_t factor, addend; /* of the hash; nobody outside knows them */
	unsigned shift;
	uint32_t *chains;
	struct visitor *all; /* all[0] is nobody */
	uint32_t capacity, used;
	uint32_t oldest, newest; /* without connections */
};

struct visitors *
visitors_create(
    size_t capacity, const struct ledger *ledger, struct worker_ledger *worker_ledger)
{
	uint64_t secrets[2];
	if (getrandom(secrets, sizeof(secrets), 0) != (ssize_t)sizeof(secrets))
		return NULL;
	struct visitors *visitors = calloc(1, sizeof(*visitors));
	if (visitors == NULL)
		return NULL;
	unsigned bits = 1;
	while ((UINT64_C(1) << bits) < capacity)
		bits++;
	visitors->ledger = ledger;
	visitors->worker_ledger = worker_ledger;
	visitors->factor = secrets[0] | 1;
	visitors->addend = secrets[1];
	visitors->shift = 64 - bits;
	visitors->capacity = (uint32_t)capacity;
	visitors->chains = calloc(UINT64_C(1) << bits, sizeof(*visitors->chains));
	/* Places that nobody took are no memory yet. */
	visitors->all = calloc(capacity + 1, sizeof(*visitors->all));
	if (visitors->chains != NULL && visitors->all != NULL)
		return visitors;
	visitors_destroy(visitors);
	return NULL;
}

void
visitors_destroy(struct visitors *visitors)
{
	if (visitors == NULL)
		return;
	free(visitors->chains);
	free(visitors->all);
	free(visitors);
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
chain_of(struct visitors *visitors, const struct key *key)
{
	uint64_t folded = key->network ^ (key->network >> 32) * visitors->addend;
	uint64_t hash = (folded + key->scope) * visitors->factor + visitors->addend;
	return &visitors->chains[hash >> visitors->shift];
}

static uint32_t
find(struct visitors *visitors, const struct key *key)
{
	uint32_t at = *chain_of(visitors, key);
	while (at != NOBODY &&
	    (visitors->all[at].key.network != key->network ||
		visitors->all[at].key.scope != key->scope))
		at = visitors->all[at].next;
	return at;
}

/* --- those without connections, by how long ago they were here --- */

static void
quiet_add(struct visitors *visitors, uint32_t at)
{
	struct visitor *visitor = &visitors->all[at];
	visitor->newer = NOBODY;
	visitor->older = visitors->newest;
	if (visitors->newest != NOBODY)
		visitors->all[visitors->newest].newer = at;
	else
		visitors->oldest = at;
	visitors->newest = at;
}

static void
quiet_remove(struct visitors *visitors, uint32_t at)
{
	const struct visitor *visitor = &visitors->all[at];
	if (visitor->newer != NOBODY)
		visitors->all[visitor->newer].older = visitor->older;
	else
		visitors->newest = visitor->older;
	if (visitor->older != NOBODY)
		visitors->all[visitor->older].newer = visitor->newer;
	else
		visitors->oldest = visitor->newer;
}

/* --- places --- */

static uint32_t
forget_oldest(struct visitors *visitors)
{
	uint32_t at = visitors->oldest;
	if (at == NOBODY)
		return NOBODY;
	quiet_remove(visitors, at);
	uint32_t *link = chain_of(visitors, &visitors->all[at].key);
	while (*link != at)
		link = &visitors->all[*link].next;
	*link = visitors->all[at].next;
	return at;
}

/* The place of the one of that name, who may be new; NOBODY when there is none. */
static uint32_t
find_or_add(struct visitors *visitors, const struct key *key)
{
	uint32_t at = find(visitors, key);
	if (at != NOBODY)
		return at;
	at = visitors->used < visitors->capacity ? ++visitors->used
						 : forget_oldest(visitors);
	if (at == NOBODY)
		return NOBODY;
	uint32_t *chain = chain_of(visitors, key);
	visitors->all[at] =
	    (struct visitor){ .key = *key, .tokens = ALL_TOKENS, .next = *chain };
	*chain = at;
	quiet_add(visitors, at);
	return at;
}

/* --- what the workers tell each other --- */

static uint64_t
who_of(const struct visitors *visitors, const struct key *key)
{
	return address_usage_id(
	    &visitors->ledger->address_usage_key, key->network, key->scope);
}

static void
tell_connections(const struct visitors *visitors, const struct visitor *visitor)
{
	if (visitors->ledger != NULL)
		address_usage_set_connections(&visitors->worker_ledger->address_usage,
		    who_of(visitors, &visitor->key), visitor->connections);
}

static void
tell_accept(const struct visitors *visitors, const struct key *key, uint32_t second)
{
	if (visitors->ledger != NULL)
		address_usage_count_accept(&visitors->worker_ledger->address_usage,
		    who_of(visitors, key), second);
}

static struct address_usage_count
ask_others(const struct visitors *visitors, const struct key *key, uint32_t second)
{
	if (visitors->ledger == NULL)
		return (struct address_usage_count){ 0 };
	return ledger_address_usage_elsewhere(
	    visitors->ledger, visitors->worker_ledger, who_of(visitors, key), second);
}

static uint64_t
own_accepts(const struct visitors *visitors, const struct key *key, uint32_t second)
{
	struct address_usage_count count = { 0 };
	if (visitors->ledger != NULL)
		address_usage_add(&count, &visitors->worker_ledger->address_usage,
		    who_of(visitors, key), second);
	return count.accepts;
}

/* --- what one may do --- */

/* A second's worth of tokens can be saved up; each connection takes one. */
static bool
take_token(struct visitor *visitor, uint32_t rate, uint32_t now_ms)
{
	uint64_t limit = (uint64_t)rate * WHOLE_TOKEN;
	uint64_t gained = (uint64_t)(uint32_t)(now_ms - visitor->filled_ms) * rate;
	uint64_t tokens = visitor->tokens + gained;
	if (tokens > limit || visitor->tokens == ALL_TOKENS)
		tokens = limit;
	bool is_enough = tokens >= WHOLE_TOKEN;
	visitor->tokens = (uint32_t)(is_enough ? tokens - WHOLE_TOKEN : tokens);
	visitor->filled_ms = now_ms;
	return is_enough;
}

enum close_reason
visitors_judge(struct visitors *visitors, uint32_t listener,
    const struct listener_config *config, const struct peer *peer, uint32_t now_ms)
{
	if (!visitors_matter(config))
		return CLOSE_REASON_COUNT;
	struct key key = key_of(listener, peer);
	uint32_t at = find_or_add(visitors, &key);
	if (at == NOBODY)
		return CLOSE_ADDRESS_LIMIT;
	struct visitor *visitor = &visitors->all[at];
	if (visitor->connections == 0) {
		quiet_remove(visitors, at);
		quiet_add(visitors, at);
	}
	uint32_t limit = config->max_connections_per_address;
	uint32_t rate = config->accept_rate, second = now_ms / 1000;
	struct address_usage_count others = ask_others(visitors, &key, second);
	uint64_t accepts = others.accepts + own_accepts(visitors, &key, second);
	if (rate != 0 && (accepts >= rate || !take_token(visitor, rate, now_ms)))
		return CLOSE_ACCEPT_RATE;
	if (rate != 0)
		tell_accept(visitors, &key, second);
	return limit != 0 && visitor->connections + others.connections >= limit
	    ? CLOSE_ADDRESS_LIMIT
	    : CLOSE_REASON_COUNT;
}

void
visitors_arrive(struct visitors *visitors, uint32_t listener, const struct peer *peer)
{
	struct key key = key_of(listener, peer);
	uint32_t at = find_or_add(visitors, &key);
	if (at == NOBODY)
		return;
	if (visitors->all[at].connections++ == 0)
		quiet_remove(visitors, at);
	tell_connections(visitors, &visitors->all[at]);
}

void
visitors_leave(struct visitors *visitors, uint32_t listener, const struct peer *peer)
{
	struct key key = key_of(listener, peer);
	uint32_t at = find(visitors, &key);
	if (at == NOBODY || visitors->all[at].connections == 0)
		return;
	if (--visitors->all[at].connections == 0)
		quiet_add(visitors, at);
	tell_connections(visitors, &visitors->all[at]);
}
