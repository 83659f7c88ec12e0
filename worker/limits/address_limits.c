#include "worker/limits/address_limits.h"

#include <sys/queue.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <stdlib.h>
#include <string.h>

#include "proto/ledger_usage.h"

#define MILLI 1000

struct key {
	uint64_t network; /* an IPv4 address, or the first half of an IPv6 one */
	uint32_t scope;   /* listener * 2 + (1: IPv6) */
};

struct entry {
	struct key key;
	struct open_count open;
	uint64_t accepts; /* address_usage_count_accept() */
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
	*entry = (struct entry){ .key = *key };
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

/* Publishes this address's connections to the other workers. */
static void
publish(const struct address_limits *limits, const struct entry *entry)
{
	if (limits->ledger != NULL)
		address_usage_set_open(&limits->worker_ledger->address_usage,
		    usage_id_of(limits, &entry->key), &entry->open);
}

static void
count_accept(const struct address_limits *limits, struct entry *entry, uint64_t now_ms)
{
	entry->accepts = address_usage_count_accept(entry->accepts, now_ms);
	if (limits->ledger != NULL)
		address_usage_set_accepts(&limits->worker_ledger->address_usage,
		    usage_id_of(limits, &entry->key), entry->accepts);
}

static struct ledger_usage_address
ledger_address_of(const struct address_limits *limits, const struct entry *entry)
{
	return (struct ledger_usage_address){ .id = usage_id_of(limits, &entry->key),
		.own_entry = limits->ledger_entry,
		.own_open = entry->open };
}

/* Connections at all workers. */
static uint64_t
sum_open(const struct address_limits *limits, const struct entry *entry)
{
	if (limits->ledger == NULL)
		return entry->open.connections;
	const struct ledger_usage_address address = ledger_address_of(limits, entry);
	return ledger_usage_open_from(limits->ledger, &address);
}

/* Accepts at all workers in the last second, in 1/1000. */
static uint64_t
sum_accepts(
    const struct address_limits *limits, const struct entry *entry, uint64_t now_ms)
{
	uint64_t sum = address_usage_accepts_milli(entry->accepts, now_ms);
	if (limits->ledger == NULL)
		return sum;
	const struct ledger_usage_address address = ledger_address_of(limits, entry);
	return sum + ledger_usage_accepts_from(limits->ledger, &address, now_ms);
}

enum close_reason
address_limits_check(struct address_limits *limits, uint32_t listener,
    const struct listener_config *config, const struct address_compact *peer,
    uint64_t now_ms)
{
	if (!address_limits_are_set(config))
		return CLOSE_NONE;
	struct key key = key_of(listener, peer);
	struct entry *entry = find_or_add(limits, &key);
	if (entry == NULL)
		return CLOSE_ADDRESS_LIMIT;
	if (entry->open.connections == 0) {
		TAILQ_REMOVE(&limits->idle, entry, idle);
		TAILQ_INSERT_TAIL(&limits->idle, entry, idle);
	}
	uint64_t limit = config->max_connections_per_address;
	uint64_t rate = config->accept_rate;
	if (rate != 0) {
		if (sum_accepts(limits, entry, now_ms) >= rate * MILLI)
			return CLOSE_ACCEPT_RATE;
		count_accept(limits, entry, now_ms);
	}
	return limit != 0 && sum_open(limits, entry) >= limit ? CLOSE_ADDRESS_LIMIT
							      : CLOSE_NONE;
}

void
address_limits_change(struct address_limits *limits, uint32_t listener,
    const struct address_compact *peer, const struct open_change *change)
{
	struct key key = key_of(listener, peer);
	struct entry *entry =
	    change->connections > 0 ? find_or_add(limits, &key) : find(limits, &key);
	if (entry == NULL)
		return;
	bool was_idle = entry->open.connections == 0;
	if (was_idle && change->connections <= 0)
		return;
	open_count_add(&entry->open, change);
	if (was_idle)
		TAILQ_REMOVE(&limits->idle, entry, idle);
	else if (entry->open.connections == 0)
		TAILQ_INSERT_TAIL(&limits->idle, entry, idle);
	publish(limits, entry);
}
