/*
 * address_usage.h - connections and accepts of each client address at one worker: a
 * hash table in the worker's part of the ledger, written by that worker and read by
 * all, so that a limit holds for all workers together without a lock. A connection that
 * moves from one worker to another counts once at any moment (open_count.h).
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

#include "proto/open_count.h"

#define ADDRESS_USAGE_WAYS 5
#define ADDRESS_USAGE_BUCKET_BITS 12

struct address_usage_entry {
	_Atomic uint64_t address_id; /* 0: free */
	_Atomic uint64_t accepts;    /* address_usage_count_accept() */
	_Atomic uint64_t open;       /* open_count_encode() */
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

/* Never 0; different for any two networks of one scope. */
uint64_t address_usage_id(
    const struct address_usage_key *key, uint64_t network, uint32_t scope);

/* A word of accepts after one more at now_ms; accepts of a word in the second before
 * now_ms, in 1/1000. */
uint64_t address_usage_count_accept(uint64_t accepts, uint64_t now_ms);
uint64_t address_usage_accepts_milli(uint64_t accepts, uint64_t now_ms);

/* For the owner of the table. */
void address_usage_set_open(
    struct address_usage *own, uint64_t address_id, const struct open_count *open);
void address_usage_set_accepts(
    struct address_usage *own, uint64_t address_id, uint64_t accepts);

/* The open connections, the accepts of the second before now_ms in 1/1000, in one
 * table.
 */
struct open_count address_usage_open(
    const struct address_usage *address_usage, uint64_t address_id);
uint64_t address_usage_accepts(
    const struct address_usage *address_usage, uint64_t address_id, uint64_t now_ms);

#endif
