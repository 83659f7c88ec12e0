/*
 * address_usage.h - how much each address takes of the listeners that limit it, as one
 * worker tells the others: a table in the shared memory of its books (ledger.h),
 * written by that worker alone and read by all. So a limit holds for all workers
 * together, without a lock; what a killed worker held is gone with its books.
 *
 *   who -> bucket   ADDRESS_USAGE_WAYS places; one that is not held is anybody's
 *
 * Who finds no place in its bucket is counted by each worker for itself. A reader may
 * meet a place that changes hands, or a table of which nothing is true: it reads
 * numbers and follows no links.
 */
#ifndef PROTO_ADDRESS_USAGE_H
#define PROTO_ADDRESS_USAGE_H

#include <stdatomic.h>
#include <stdint.h>

#define ADDRESS_USAGE_PAGE 4096
#define ADDRESS_USAGE_WAYS 5
#define ADDRESS_USAGE_BUCKET_BITS 12

struct address_usage_entry {
	_Atomic uint64_t address_id; /* 0: nobody */
	_Atomic uint64_t accepts;    /* second << 32 | connections accepted in it */
	_Atomic uint64_t connections;
};

struct address_usage_bucket {
	_Alignas(128) struct address_usage_entry ways[ADDRESS_USAGE_WAYS];
};

struct address_usage {
	_Alignas(ADDRESS_USAGE_PAGE) _Atomic uint64_t is_used;
	struct address_usage_bucket buckets[1 << ADDRESS_USAGE_BUCKET_BITS];
};

/* Nobody outside knows it, so that nobody can choose addresses that meet. */
struct address_usage_key {
	uint64_t words[4];
};

struct address_usage_count {
	uint64_t connections;
	uint64_t accepts; /* in the second that was asked for */
};

/* Never 0; two networks of one scope are never the same. */
uint64_t address_usage_id(
    const struct address_usage_key *key, uint64_t network, uint32_t scope);

/* The one writer: has so many connections now; has had one more accepted. */
void address_usage_set_connections(
    struct address_usage *own, uint64_t address_id, uint32_t connections);
void address_usage_count_accept(
    struct address_usage *own, uint64_t address_id, uint32_t second);

/* Adds what a table says. */
void address_usage_add(struct address_usage_count *count,
    const struct address_usage *address_usage, uint64_t address_id, uint32_t second);

/* Its writer is gone. Gives the memory back. */
void address_usage_clear(struct address_usage *address_usage);

#endif
