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

/* A word of accepts: the second, the accepts of the one before, those of this one. */
#define SECOND_BITS 24
#define COUNT_BITS 20
#define COUNT_MAX ((UINT64_C(1) << COUNT_BITS) - 1)
#define MS_PER_S 1000

static uint64_t
second_of(uint64_t now_ms)
{
	return now_ms / MS_PER_S;
}

/* Seconds from that of the word to the present one. */
static uint64_t
age_of(uint64_t accepts, uint64_t now_ms)
{
	uint64_t second = accepts >> 2 * COUNT_BITS;
	return (second_of(now_ms) - second) & ((UINT64_C(1) << SECOND_BITS) - 1);
}

uint64_t
address_usage_count_accept(uint64_t accepts, uint64_t now_ms)
{
	uint64_t age = age_of(accepts, now_ms), current = accepts & COUNT_MAX;
	uint64_t previous = accepts >> COUNT_BITS & COUNT_MAX;
	if (age != 0) {
		previous = age == 1 ? current : 0;
		current = 0;
	}
	current += current < COUNT_MAX;
	return second_of(now_ms) << 2 * COUNT_BITS | previous << COUNT_BITS | current;
}

uint64_t
address_usage_accepts_milli(uint64_t accepts, uint64_t now_ms)
{
	uint64_t age = age_of(accepts, now_ms), current = accepts & COUNT_MAX;
	uint64_t previous = accepts >> COUNT_BITS & COUNT_MAX;
	uint64_t covered = MS_PER_S - now_ms % MS_PER_S;
	if (age == 0)
		return current * MS_PER_S + previous * covered;
	return age == 1 ? current * covered : 0;
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
		if (load(&ways[i].open) == 0 && is_older)
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
address_usage_set_open(
    struct address_usage *own, uint64_t address_id, const struct open_count *open)
{
	struct address_usage_entry *entry = find_or_claim(own, address_id);
	if (entry != NULL)
		store(&entry->open, open_count_encode(open));
}

void
address_usage_set_accepts(
    struct address_usage *own, uint64_t address_id, uint64_t accepts)
{
	struct address_usage_entry *entry = find_or_claim(own, address_id);
	if (entry != NULL)
		store(&entry->accepts, accepts);
}

/* NULL: it has no entry. */
static const struct address_usage_entry *
find(const struct address_usage *address_usage, uint64_t address_id)
{
	if (load(&address_usage->is_used) == 0)
		return NULL;
	const struct address_usage_entry *ways =
	    address_usage->buckets[bucket_of(address_id)].ways;
	for (int i = 0; i < ADDRESS_USAGE_WAYS; i++) {
		if (load(&ways[i].address_id) == address_id)
			return &ways[i];
	}
	return NULL;
}

struct open_count
address_usage_open(const struct address_usage *address_usage, uint64_t address_id)
{
	const struct address_usage_entry *entry = find(address_usage, address_id);
	return open_count_decode(entry == NULL ? 0 : open_count_load(&entry->open));
}

uint64_t
address_usage_accepts(
    const struct address_usage *address_usage, uint64_t address_id, uint64_t now_ms)
{
	const struct address_usage_entry *entry = find(address_usage, address_id);
	return entry == NULL
	    ? 0
	    : address_usage_accepts_milli(load(&entry->accepts), now_ms);
}
