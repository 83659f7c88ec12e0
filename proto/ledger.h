/*
 * ledger.h - the count of everything, in memory that the master shares with its workers
 * before the first fork and hands on over an upgrade.
 *
 *   +--------+-------------------+-----------------------+---------------------+
 *   | header | retired[slot]     | retired_by_listener[listener]  | live[books] |
 *   +--------+-------------------+-----------------------+---------------------+
 *              written by the master                       each written by one
 *                                                          worker process only
 *
 * A worker process owns one of the live books while it lives: a block for itself, and
 * one for each listener, into which everything goes that belongs to a connection. So
 * one addition counts for the worker and for the listener. When the worker is gone the
 * master closes its books: what it held open becomes `worker_lost`, everything is added
 * to the retired block of the slot and to those of the listeners, and the books are
 * free again. A counter is only ever added to by its one writer, so a reader needs no
 * lock and a SIGKILL leaves nothing half-written:
 *
 *   connections_open = accepted + moved_in - moved_out - sum(closed)
 *
 * holds at each moment, because open is not stored but is that difference.
 *
 * All processes can write all of it, and one that was taken over can make any of it
 * untrue: whoever reads numbers here uses them as counts and, where they are numbers of
 * places, within the bounds of this struct.
 *
 * A listener is known by its address, and keeps its number here as long as the ledger
 * exists, whatever reloads make of it.
 * Layout rule: counters are added at the end (LEDGER_LAYOUT says whether two programs
 * fit).
 */
#ifndef PROTO_LEDGER_H
#define PROTO_LEDGER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/address_usage.h"
#include "proto/close_reason.h"

/* X(identifier, name, help); all are counters that never go backwards. */
#define LEDGER_COUNTERS(X)                                                             \
	X(CONNECTIONS_ACCEPTED, "connections_accepted",                                \
	    "connections taken from the accept queues")                                \
	X(CONNECTIONS_MOVED_IN, "connections_moved_in",                                \
	    "open connections taken over from another worker")                         \
	X(CONNECTIONS_MOVED_OUT, "connections_moved_out",                              \
	    "open connections handed to another worker")                               \
	X(MESSAGES_RECEIVED, "messages_received", "messages read whole")               \
	X(REPLIES_SENT, "replies_sent",                                                \
	    "replies handed to the kernel whole; those that waited together are "      \
	    "booked "                                                                  \
	    "when the last byte of the last one left")                                 \
	X(BYTES_RECEIVED, "bytes_received", "bytes read from peers")                   \
	X(BYTES_SENT, "bytes_sent", "bytes handed to the kernel for peers")            \
	X(BYTES_DROPPED, "bytes_dropped",                                              \
	    "bytes of reply still owed when a connection closed")                      \
	X(ACCEPT_PAUSES, "accept_pauses",                                              \
	    "times that accepting stopped for want of descriptors or memory")          \
	X(ACCEPTS_CUT_SHORT, "accepts_cut_short",                                      \
	    "workers that died inside accept(2): each may have taken one connection "  \
	    "that no other count holds")

enum ledger_counter {
#define X(id, name, help) LEDGER_##id,
	LEDGER_COUNTERS(X)
#undef X
	    LEDGER_COUNTER_COUNT
};

const char *ledger_counter_name(enum ledger_counter counter);
const char *ledger_counter_help(enum ledger_counter counter);
/* False: it is one of workers alone, and says nothing of a listener. */
bool ledger_counter_is_per_listener(enum ledger_counter counter);

#define LEDGER_MAGIC 0x796f6465
#define LEDGER_LAYOUT 4
#define LEDGER_SLOTS 256
#define LEDGER_WORKERS_MAX 768
/* Addresses; the last one stands for all that come when there is no other. */
#define LEDGER_LISTENERS 128
#define LEDGER_NAME_MAX 64
#define LEDGER_COUNTERS_MAX 28
#define LEDGER_REASONS_MAX 32

/* 512 bytes, so that no two writers meet in a cache line or in a pair of them. */
struct ledger_block {
	_Alignas(128) _Atomic uint64_t counters[LEDGER_COUNTERS_MAX];
	_Atomic uint64_t closed[LEDGER_REASONS_MAX]; /* by enum close_reason */
	_Atomic uint64_t open;      /* held, or served, now; no part of the sums */
	_Atomic uint64_t accepting; /* 1 inside accept(2) and until its count */
	_Atomic uint64_t
	    heartbeat_count;    /* added to by the worker's loop while it turns */
	_Atomic uint64_t owner; /* slot + 1, 0: free; the master's */
};

/* Of one worker process. */
struct worker_ledger {
	struct ledger_block own; /* what belongs to no listener; open: all it serves */
	struct ledger_block
	    by_listener[LEDGER_LISTENERS]; /* by listener; open and counts alone */
	struct address_usage
	    address_usage; /* by address, where a listener limits them */
};

struct ledger {
	uint32_t magic;
	uint32_t layout;
	_Atomic uint32_t live_end; /* no books from here on are in use; the master's */
	_Atomic uint32_t listener_count; /* that have a name; the master's: read it with
					  * ledger_listener_count */
	struct address_usage_key address_usage_key;
	char listeners[LEDGER_LISTENERS][LEDGER_NAME_MAX];
	struct ledger_block retired[LEDGER_SLOTS];
	struct ledger_block retired_by_listener[LEDGER_LISTENERS];
	struct worker_ledger live[LEDGER_WORKERS_MAX];
};

/* A sum of blocks: plain numbers. */
struct ledger_totals {
	uint64_t counters[LEDGER_COUNTER_COUNT];
	uint64_t closed[CLOSE_REASON_COUNT];
};

/* Anonymous shared memory for all of it, zeroed. *ret_fd can be handed to another
 * program image. NULL with errno. */
struct ledger *ledger_create(int *ret_fd) __attribute__((warn_unused_result));
/* Maps what ledger_create made. NULL with errno (EPROTO: not a ledger of this layout).
 */
struct ledger *ledger_attach(int fd) __attribute__((warn_unused_result));

/* The number of the listener at an address; it gets one if it has none. Only the master
 * calls this. */
uint32_t ledger_register_listener(struct ledger *ledger, const char *address);
/* Listeners that have a name. */
uint32_t ledger_listener_count(const struct ledger *ledger);
/* The name of one: printable characters but quotes and backslashes, in name. */
const char *ledger_listener_name(
    const struct ledger *ledger, uint32_t listener, char name[LEDGER_NAME_MAX]);
/* Books that may be in use are the first so many. */
uint32_t ledger_live_end(const struct ledger *ledger);

/* Closes the books of a worker of `slot` that is gone. moved_in and moved_out are what
 * the other ends of its hand-overs say, and stand in the place of its own counts, for
 * it may have died between moving a connection and counting it. What it held open
 * beyond that is booked as worker_lost; the books are free again. Only the master calls
 * this. Which listener a connection belonged to that was on its way meanwhile can only
 * be guessed: the sum of all listeners is right. */
void ledger_retire(struct ledger *ledger, struct worker_ledger *worker_ledger,
    uint32_t slot, uint64_t moved_in, uint64_t moved_out);

void ledger_add_block(struct ledger_totals *totals, const struct ledger_block *block);
/* All blocks of one worker. */
void ledger_add_worker(struct ledger_totals *totals, const struct ledger *ledger,
    const struct worker_ledger *worker_ledger);
/* The sum of everything, retired and live. */
void ledger_sum(const struct ledger *ledger, struct ledger_totals *ret);
/* The sum for one slot: what is retired there, and the live books that carry its
 * number. */
void ledger_sum_slot(
    const struct ledger *ledger, uint32_t slot, struct ledger_totals *ret);
/* The sum for one listener. Connections move between workers, not between listeners:
 * MOVED_IN and MOVED_OUT say nothing. */
void ledger_sum_listener(
    const struct ledger *ledger, uint32_t listener, struct ledger_totals *ret);
uint64_t ledger_closed(const struct ledger_totals *totals);
/* Of one worker or slot: what it took over counts, what it handed on does not. */
uint64_t ledger_open(const struct ledger_totals *totals);
/* Of the whole server: exact also while connections are on their way between workers.
 */
uint64_t ledger_open_total(const struct ledger_totals *totals);
/* Connections that all workers serve now, from their own gauges: cheap, and at most one
 * connection for each worker off; those on their way between two workers, a batch of
 * each hand-over, count in neither. */
uint64_t ledger_open_now(const struct ledger *ledger);
/* The same of one listener; a connection on its way between two workers counts twice.
 */
uint64_t ledger_open_by_listener(const struct ledger *ledger, uint32_t listener);
/* What all workers but the one of `own` say of an address (address_usage_id). */
struct address_usage_count ledger_address_usage_elsewhere(const struct ledger *ledger,
    const struct worker_ledger *own, uint64_t address_id, uint32_t second);

/* Free live books for a worker of `slot`, or NULL when all are taken; ledger_retire
 * gives them back. Only the master calls these two. */
struct worker_ledger *ledger_claim(struct ledger *ledger, uint32_t slot);

/* The one writer's way to count. The order is kept: who sees a connection's end has
 * seen its beginning. */
static inline void
ledger_count(struct ledger_block *block, enum ledger_counter counter, uint64_t n)
{
	_Atomic uint64_t *c = &block->counters[counter];
	atomic_store_explicit(
	    c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_release);
}

/* What the one writer has counted. */
static inline uint64_t
ledger_read(const struct ledger_block *block, enum ledger_counter counter)
{
	return atomic_load_explicit(&block->counters[counter], memory_order_relaxed);
}

static inline void
ledger_count_closed(struct ledger_block *block, enum close_reason reason)
{
	_Atomic uint64_t *c = &block->closed[reason];
	atomic_store_explicit(
	    c, atomic_load_explicit(c, memory_order_relaxed) + 1, memory_order_release);
}

/* One connection more, or one less (-1). */
static inline void
ledger_add_open(struct ledger_block *block, int64_t n)
{
	uint64_t open = atomic_load_explicit(&block->open, memory_order_relaxed);
	atomic_store_explicit(&block->open, open + (uint64_t)n, memory_order_relaxed);
}

/* Around accept(2) and the count of what it took: a worker that dies in between leaves
 * a trace. */
static inline void
ledger_set_accepting(struct ledger_block *block, bool is_accepting)
{
	atomic_store_explicit(&block->accepting, is_accepting, memory_order_release);
}

static inline void
ledger_count_heartbeat(struct ledger_block *block)
{
	atomic_fetch_add_explicit(&block->heartbeat_count, 1, memory_order_relaxed);
}

#endif
