/*
 * open_count.h - at which worker an open connection counts while it moves from one to
 * another (proto/transfer.h), so that a limit holds for all workers together without a
 * lock. Each worker publishes in its pages of the ledger, for all its connections and
 * for each client address, how many are
 *
 *   connections   open here
 *   leaving       of these: in the batch that it is sending
 *   arriving      of these: installed from a batch that it has not published yet
 *
 *   sender                                   receiver
 *   leaving += n, sent = batch
 *                                            connections += n, arriving += n
 *                                            arriving -= n, installed = batch
 *   connections -= n, leaving -= n, sent = 0
 *
 * The share of a worker in a sum is
 *
 *   connections - arriving - (the receiver has installed `sent`: leaving)
 *
 * so each connection passes from one share to the other by the store of `installed`. A
 * single step before or after that changes no share, or adds connections that still
 * count at the other end: a process that dies or waits between two steps hides none.
 *
 * A reader reads one page after another, and connections may move meanwhile: `version`
 * tells (ledger_usage_open).
 */
#ifndef PROTO_OPEN_COUNT_H
#define PROTO_OPEN_COUNT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Transfers to one worker at a time whose batches it can publish. */
#define OPEN_COUNT_PLACE_BITS 4
#define OPEN_COUNT_PLACES (1 << OPEN_COUNT_PLACE_BITS)
#define OPEN_COUNT_ENTRY_BITS 12
#define OPEN_COUNT_NOWHERE UINT32_MAX

struct open_count {
	uint32_t connections;
	uint16_t leaving, arriving;
};

/* To be added to an open_count. */
struct open_change {
	int connections, leaving, arriving;
};

/* Counts of one worker, written by it alone; the counts of addresses are elsewhere. */
struct open_shared {
	_Alignas(128) _Atomic uint64_t version; /* odd: connections are moving */
	_Atomic uint64_t total;                 /* open_count_encode() */
	_Atomic uint64_t sent; /* open_count_batch() in flight; 0: none */
	/* By place: the last batch of a transfer that is installed; 0: none. */
	_Atomic uint64_t installed[OPEN_COUNT_PLACES];
};

/* One word, so that a reader sees the three numbers of one moment. */
static inline uint64_t
open_count_encode(const struct open_count *count)
{
	return (uint64_t)count->connections << 32 | (uint64_t)count->leaving << 16 |
	    count->arriving;
}

static inline struct open_count
open_count_decode(uint64_t word)
{
	return (struct open_count){ (uint32_t)(word >> 32),
		(uint16_t)(word >> 16 & UINT16_MAX), (uint16_t)(word & UINT16_MAX) };
}

static inline uint64_t
open_count_load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_acquire);
}

static inline void
open_count_store(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_release);
}

/* Where a receiver publishes the batches of one transfer: its ledger entry and a place
 * of its own. */
static inline uint32_t
open_count_place(uint32_t entry, uint32_t place)
{
	return entry << OPEN_COUNT_PLACE_BITS | place;
}

/* Names a batch: `transfer` is the number of the transfer (not 0), `place` where its
 * receiver publishes it. 0 for OPEN_COUNT_NOWHERE: it counts at both ends. */
uint64_t open_count_batch(uint32_t transfer, uint32_t batch, uint32_t place);
uint32_t open_count_batch_entry(uint64_t batch);
uint32_t open_count_batch_place(uint64_t batch);

/* Adds to each number; one that would become negative becomes 0. */
void open_count_add(struct open_count *count, const struct open_change *change);

/* For the owner: */
void open_count_change(struct open_shared *own, const struct open_change *change);
/* Around the steps by which a batch passes from one share to the other. A keeper may
 * begin where its worker has died between the two. */
void open_count_begin(struct open_shared *own);
void open_count_end(struct open_shared *own);
/* Forgets all transfers: `connections` are open here. */
void open_count_reset(struct open_shared *own, uint32_t connections);

/* The share of a worker. */
uint64_t open_count_share(const struct open_count *count, bool is_installed);

#endif
