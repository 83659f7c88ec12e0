/*
 * address_usage.h - connections and accepts of each client address at one worker: a
 * hash table in the worker's part of the ledger, written by that worker and read by
 * all, so that a limit holds for all workers together without a lock.
 *
 * A connection that moves from one worker to another counts once at any moment: from
 * the batch until ACCEPTED it is `leaving` at its sender, from its installation until
 * COMMITTED it is `arriving` at its receiver (proto/transfer.h). While both count it as
 * open, it is both leaving and arriving:
 *
 *   open = sum(connections) - min(sum(leaving), sum(arriving))
 *
 * Accepts count in a sliding window of one second: those of the present second, and of
 * the previous one the part that the window still covers. They remain in the table when
 * the worker has exited, so that a reload or a crash renews no allowance.
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
	_Atomic uint64_t accepts;    /* address_usage_count_accept() */
	/* connections << 32 | leaving << 16 | arriving: one word, read at once. */
	_Atomic uint64_t open;
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

struct address_usage_open {
	uint32_t connections;
	uint16_t leaving, arriving;
};

/* Sums over workers. */
struct address_usage_sum {
	uint64_t connections, leaving, arriving;
	uint64_t accepts_milli; /* in the last second, in 1/1000 */
};

/* Never 0; different for any two networks of one scope. */
uint64_t address_usage_id(
    const struct address_usage_key *key, uint64_t network, uint32_t scope);

/* A word of accepts after one more at now_ms; accepts of a word in the second before
 * now_ms, in 1/1000. */
uint64_t address_usage_count_accept(uint64_t accepts, uint64_t now_ms);
uint64_t address_usage_accepts_milli(uint64_t accepts, uint64_t now_ms);

/* For the owner of the table. */
void address_usage_set_open(struct address_usage *own, uint64_t address_id,
    const struct address_usage_open *open);
void address_usage_set_accepts(
    struct address_usage *own, uint64_t address_id, uint64_t accepts);

/* Adds the open connections, the accepts of the second before now_ms, in one table. */
void address_usage_add_open(struct address_usage_sum *sum,
    const struct address_usage *address_usage, uint64_t address_id);
void address_usage_add_accepts(struct address_usage_sum *sum,
    const struct address_usage *address_usage, uint64_t address_id, uint64_t now_ms);
/* Open connections of a sum. */
uint64_t address_usage_open(const struct address_usage_sum *sum);

#endif
