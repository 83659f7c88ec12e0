/*
 * address_usage.h - connections and accepts of each client address at one worker: a
 * hash table in the worker's part of the ledger, written by that worker and read by
 * all, so that a limit holds for all workers together without a lock.
 *
 * An address that finds no entry in its bucket is counted by each worker on its own. A
 * reader may see an entry change hands, or a falsified table: it only reads numbers.
 */
#ifndef PROTO_ADDRESS_USAGE_H
#define PROTO_ADDRESS_USAGE_H

#include <stdatomic.h>
#include <stdint.h>

#define ADDRESS_USAGE_WAYS 5
#define ADDRESS_USAGE_BUCKET_BITS 12

struct address_usage_entry {
	_Atomic uint64_t address_id; /* 0: free */
	_Atomic uint64_t accepts;    /* second << 32 | connections accepted in it */
	_Atomic uint64_t connections;
};

struct address_usage_bucket {
	_Alignas(128) struct address_usage_entry ways[ADDRESS_USAGE_WAYS];
};

struct address_usage {
	_Atomic uint64_t is_used; /* 0: all of the below is free */
	struct address_usage_bucket buckets[1 << ADDRESS_USAGE_BUCKET_BITS];
};

/* Random, so that a client cannot choose addresses that share a bucket. */
struct address_usage_key {
	uint64_t words[4];
};

struct address_usage_count {
	uint64_t connections;
	uint64_t accepts; /* in the second asked for */
};

/* Never 0; different for any two networks of one scope. */
uint64_t address_usage_id(
    const struct address_usage_key *key, uint64_t network, uint32_t scope);

/* For the owner of the table: sets the connections; counts an accept. */
void address_usage_set_connections(
    struct address_usage *own, uint64_t address_id, uint32_t connections);
void address_usage_count_accept(
    struct address_usage *own, uint64_t address_id, uint32_t second);

/* Adds the usage in one table. */
void address_usage_add(struct address_usage_count *count,
    const struct address_usage *address_usage, uint64_t address_id, uint32_t second);

#endif
