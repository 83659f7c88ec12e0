#include "proto/address_usage.h"

#include <stdbool.h>
#include <stddef.h>

_Static_assert(
    sizeof(struct address_usage_bucket) == 128, "a bucket is two cache lines");

static uint64_t
load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static void
store(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_release);
}

/* Each step is invertible, so that two networks never get the same id. */
uint64_t
address_usage_id(const struct address_usage_key *key, uint64_t network, uint32_t scope)
{
	uint64_t address_id = (network ^ key->words[0]) * (key->words[1] | 1);
	address_id = ((address_id ^ address_id >> 32) + scope) * (key->words[2] | 1);
	address_id = (address_id ^ address_id >> 29) * (key->words[3] | 1);
	return address_id == 0 ? 1 : address_id;
}

static size_t
bucket_of(uint64_t address_id)
{
	return address_id >> (64 - ADDRESS_USAGE_BUCKET_BITS);
}

/* The entry of the address, or one without connections (the longest unused first), or
 * NULL. */
static struct address_usage_entry *
find_or_claim(struct address_usage *own, uint64_t address_id)
{
	struct address_usage_entry *ways = own->buckets[bucket_of(address_id)].ways,
				   *best = NULL;
	for (int i = 0; i < ADDRESS_USAGE_WAYS; i++) {
		if (load(&ways[i].address_id) == address_id)
			return &ways[i];
		bool is_older =
		    best == NULL || load(&ways[i].accepts) < load(&best->accepts);
		if (load(&ways[i].connections) == 0 && is_older)
			best = &ways[i];
	}
	if (best == NULL)
		return NULL;
	store(&own->is_used, 1);
	store(&best->address_id, 0);
	store(&best->accepts, 0);
	store(&best->address_id, address_id);
	return best;
}

void
address_usage_set_connections(
    struct address_usage *own, uint64_t address_id, uint32_t connections)
{
	struct address_usage_entry *entry = find_or_claim(own, address_id);
	if (entry != NULL)
		store(&entry->connections, connections);
}

void
address_usage_count_accept(
    struct address_usage *own, uint64_t address_id, uint32_t second)
{
	struct address_usage_entry *entry = find_or_claim(own, address_id);
	if (entry == NULL)
		return;
	uint64_t accepts = load(&entry->accepts);
	uint64_t first = (uint64_t)second << 32 | 1;
	store(&entry->accepts, accepts >> 32 == second ? accepts + 1 : first);
}

void
address_usage_add(struct address_usage_count *count,
    const struct address_usage *address_usage, uint64_t address_id, uint32_t second)
{
	if (load(&address_usage->is_used) == 0)
		return;
	const struct address_usage_entry *ways =
	    address_usage->buckets[bucket_of(address_id)].ways;
	for (int i = 0; i < ADDRESS_USAGE_WAYS; i++) {
		if (load(&ways[i].address_id) != address_id)
			continue;
		uint64_t accepts = load(&ways[i].accepts);
		count->connections += load(&ways[i].connections);
		count->accepts += accepts >> 32 == second ? (uint32_t)accepts : 0;
		return;
	}
}
