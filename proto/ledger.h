/*
 * ledger.h - the counters of the server, in memory that the master shares with its
 * workers and passes on in an upgrade. Each page has one writer (lib/shared_memory.h):
 *
 *   +---------------+-----------------+-----------------+-----
 *   | ledger_shared | worker_ledger 0 | worker_ledger 1 | ...   one memory file
 *   +---------------+-----------------+-----------------+-----
 *    the master      one worker process each
 *
 * Every process reads all of it: the master and the workers through `struct ledger`. A
 * worker has its own pages mapped a second time, for writing. The file has as many
 * entries as worker processes existed at the same time.
 *
 * A worker process owns one entry: a block for each listener, in which everything is
 * counted that belongs to a connection, one for the rest, and a table of client
 * addresses. When the process has exited, the master retires the entry: it adds the
 * counters to its own pages. Only the owner adds to a counter, so a reader needs no
 * lock and SIGKILL leaves nothing half-written. At every moment
 *
 *   connections_open = accepted + moved_in - moved_out - sum(closed)
 *
 * because totals do not store the number of open connections but compute it.
 *
 * A compromised worker can falsify its own entry and nothing else. Readers use what
 * stands there as counts, never as indices.
 *
 * A listener is identified by its address and keeps its number here across reloads.
 * When it is closed and no worker counts its connections any more, the number is free.
 *
 * Raise LEDGER_LAYOUT when a struct below changes. A counter or close reason that is
 * added at the end of its table needs no change: the blocks have room for it.
 */
#ifndef PROTO_LEDGER_H
#define PROTO_LEDGER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/address_usage.h"
#include "proto/close_reason.h"
#include "proto/faults/fault.h"
#include "proto/open_count.h"

/* X(identifier, name, help). Counters never decrease. */
#define LEDGER_COUNTERS(X)                                                             \
	X(CONNECTIONS_ACCEPTED, "connections_accepted", "connections accepted")        \
	X(CONNECTIONS_MOVED_IN, "connections_moved_in",                                \
	    "open connections received from another worker")                           \
	X(CONNECTIONS_MOVED_OUT, "connections_moved_out",                              \
	    "open connections transferred to another worker")                          \
	X(MESSAGES_RECEIVED, "messages_received", "complete messages received")        \
	X(REPLIES_SENT, "replies_sent",                                                \
	    "replies passed to the kernel; replies that were queued are counted when " \
	    "the queue is empty")                                                      \
	X(BYTES_RECEIVED, "bytes_received", "bytes received from peers")               \
	X(BYTES_SENT, "bytes_sent", "bytes passed to the kernel for peers")            \
	X(BYTES_DROPPED, "bytes_dropped",                                              \
	    "bytes of replies that were not sent when a connection closed")            \
	X(ACCEPT_PAUSES, "accept_pauses",                                              \
	    "times that accepting paused for lack of descriptors or memory")           \
	X(ACCEPTS_CUT_SHORT, "accepts_cut_short",                                      \
	    "workers that died inside accept(2): each may have accepted one "          \
	    "connection that no other counter has")                                    \
	X(CONNECTIONS_RECOVERED, "connections_recovered",                              \
	    "open connections of a worker that died which another worker continued")   \
	X(RECOVERIES, "recoveries",                                                    \
	    "workers that died whose connections were "                                \
	    "passed to other workers")                                                 \
	X(RECOVERY_US, "recovery_us",                                                  \
	    "time from the start of a recovery until its last connection was "         \
	    "passed on, in microseconds, sum")                                         \
	X(MPTCP_CONNECTIONS, "mptcp_connections",                                      \
	    "connections of MPTCP that were accepted")                                 \
	X(MPTCP_FALLBACKS, "mptcp_fallbacks",                                          \
	    "connections of plain TCP that were accepted at an MPTCP listener, or "    \
	    "fell back to it")                                                         \
	X(MPTCP_SUBFLOWS, "mptcp_subflows",                                            \
	    "subflows of MPTCP connections when they were closed")                     \
	X(TLS_HANDSHAKES_FULL, "tls_handshakes_full",                                  \
	    "TLS handshakes completed with a certificate")                             \
	X(TLS_HANDSHAKES_RESUMED, "tls_handshakes_resumed",                            \
	    "TLS handshakes completed that resumed an earlier session")                \
	X(TLS_HANDSHAKES_FAILED, "tls_handshakes_failed",                              \
	    "TLS handshakes begun and not completed")                                  \
	X(TLS_BYTES_RECEIVED, "tls_bytes_received",                                    \
	    "bytes received from peers on TLS connections, with records and "          \
	    "handshakes; bytes_received has their contents")                           \
	X(TLS_BYTES_SENT, "tls_bytes_sent",                                            \
	    "bytes passed to the kernel for peers on TLS connections, with records "   \
	    "and handshakes; bytes_sent has their contents")

enum ledger_counter {
#define X(id, name, help) LEDGER_##id,
	LEDGER_COUNTERS(X)
#undef X
	    LEDGER_COUNTER_COUNT
};

struct ledger_counter_row {
	const char *name, *help;
};
extern const struct ledger_counter_row ledger_counters[]; /* by enum ledger_counter */
/* False for the counters that exist for workers only. */
bool ledger_counter_is_per_listener(enum ledger_counter counter);

#define LEDGER_MAGIC 0x796f6465
#define LEDGER_LAYOUT 10
#define LEDGER_SLOTS 256
/* Worker processes at the same time: 16 generations of all slots. */
#define LEDGER_WORKERS_MAX (16 * LEDGER_SLOTS)
/* Addresses; all surplus ones share the last entry. */
#define LEDGER_LISTENERS 128
#define LEDGER_NAME_MAX 128
#define LEDGER_COUNTERS_MAX 28
#define LEDGER_REASONS_MAX 64
#define LEDGER_FAULTS_MAX 32

/* 1024 bytes, so that two blocks never share a cache line or a pair of them. */
struct ledger_block {
	_Alignas(128) _Atomic uint64_t counters[LEDGER_COUNTERS_MAX];
	_Atomic uint64_t closed[LEDGER_REASONS_MAX]; /* by enum close_reason */
	/* Gauge of a listener's open connections, for the split of those that a dead
	 * worker lost. Totals are computed from the counters instead. */
	_Atomic uint64_t open;
	_Atomic uint64_t handshakes;      /* gauge of a worker, for limits.handshakes */
	_Atomic uint64_t accepting;       /* 1 from accept(2) until it is counted */
	_Atomic uint64_t heartbeat_count; /* incremented by the worker's loop */
	_Atomic uint64_t faults[LEDGER_FAULTS_MAX]; /* injected, by enum fault_kind */
};

/* The pages of one worker process. */
struct worker_ledger {
	struct ledger_block own; /* counts without a listener */
	struct ledger_block by_listener[LEDGER_LISTENERS];
	struct open_shared open; /* of all listeners, for limits and rebalancing */
	struct address_usage address_usage; /* for listeners that limit addresses */
};

/* The pages of the master. */
struct ledger_shared {
	uint32_t magic;
	uint32_t layout;
	_Atomic uint32_t live_end;       /* entries from here on have never been used */
	_Atomic uint64_t version;        /* odd: an entry becomes free or used */
	_Atomic uint32_t listener_count; /* with a name; see ledger_listener_count() */
	struct address_usage_key address_usage_key;
	char listeners[LEDGER_LISTENERS][LEDGER_NAME_MAX];
	_Atomic uint32_t
	    owners[LEDGER_WORKERS_MAX];       /* of an entry: slot + 1, 0: free */
	uint32_t freed_s[LEDGER_WORKERS_MAX]; /* CLOCK_MONOTONIC; 0: it is zeroed */
	uint64_t connections_max; /* that one worker can have; bounds its gauges */
	struct ledger_block retired[LEDGER_SLOTS];
	struct ledger_block retired_by_listener[LEDGER_LISTENERS];
};

/* The view of one process. */
struct ledger {
	struct ledger_shared *shared; /* read-only in workers */
	const uint8_t *entries;       /* read-only; moves when it grows */
	uint32_t mapped;              /* entries that are mapped */
	int fd;                       /* -1 in workers */
};

/* A sum of blocks: plain numbers. */
struct ledger_totals {
	uint64_t counters[LEDGER_COUNTER_COUNT];
	uint64_t closed[CLOSE_REASON_COUNT];
	uint64_t faults[FAULT_KIND_COUNT];
};

/* Its size in bytes with this many workers. */
size_t ledger_size(uint32_t workers);
/* Creates it, zeroed. connections_max: that one worker can have open. NULL with errno.
 */
struct ledger *ledger_create(uint64_t connections_max)
    __attribute__((warn_unused_result));
/* Maps an existing one for a master, which owns the descriptor from then on. NULL with
 * errno (EPROTO: not a ledger of this layout). */
struct ledger *ledger_attach(int fd) __attribute__((warn_unused_result));
/* Unmaps it and closes the descriptor. NULL is accepted. */
void ledger_destroy(struct ledger *ledger);

/* The number of the listener at an address, which gets one if it has none. Only for the
 * master. */
uint32_t ledger_register_listener(struct ledger *ledger, const char *address);
/* Frees the number of a listener that is closed and that no worker process knows. Its
 * counts remain in those of the slots. Only for the master. */
void ledger_release_listener(struct ledger *ledger, uint32_t listener);
/* Numbers of which some may be in use. */
uint32_t ledger_listener_count(const struct ledger *ledger);
/* Its address: printable characters except quotes and backslashes, in name; "": the
 * number is not in use. */
const char *ledger_listener_name(
    const struct ledger *ledger, uint32_t listener, char name[LEDGER_NAME_MAX]);

/* Finds a free entry for a worker of `slot`, and zeroes it. Its number, or -1 with
 * errno (EAGAIN: LEDGER_WORKERS_MAX are in use). Only for the master. */
int ledger_claim(struct ledger *ledger, uint32_t slot)
    __attribute__((warn_unused_result));
/* Maps an entry for writing: for its owner. NULL with errno. */
struct worker_ledger *ledger_open_entry(const struct ledger *ledger, uint32_t entry)
    __attribute__((warn_unused_result));
/* In a new worker process: makes everything read-only and forgets the descriptor, which
 * the caller closes. 0, or -1 with errno. */
int ledger_enter_worker(struct ledger *ledger) __attribute__((warn_unused_result));

/* Entries of which some may be in use: this many are mapped afterwards. */
uint32_t ledger_live_end(struct ledger *ledger);
/* An entry below ledger_live_end(), to read; until the next call of that. */
const struct worker_ledger *ledger_entry(const struct ledger *ledger, uint32_t entry);
/* The slot of the entry's process; LEDGER_SLOTS: it is free. */
uint32_t ledger_slot_of(const struct ledger *ledger, uint32_t entry);
bool ledger_is_free(const struct ledger *ledger, uint32_t entry);

/* Retires the entry of a worker that has exited and frees it. Only for the master.
 * moved_in and moved_out come from the other ends of its transfers and replace its own
 * counts, because it may have died between moving a connection and counting it. The
 * rest of its open connections become worker_lost. For a connection that was being
 * transferred the listener is a guess; the sum over all listeners is exact. */
void ledger_retire(struct ledger *ledger, uint32_t entry, uint32_t slot,
    uint64_t moved_in, uint64_t moved_out);
/* Returns the memory of entries that were retired some seconds ago: until then their
 * accepts count. To be called at intervals. Only for the master. */
void ledger_trim(struct ledger *ledger);

void ledger_add_block(struct ledger_totals *totals, const struct ledger_block *block);
/* Adds all blocks of one worker. */
void ledger_add_worker(
    struct ledger_totals *totals, const struct ledger *ledger, uint32_t entry);
/* The sum of all blocks, retired and live. */
void ledger_sum(struct ledger *ledger, struct ledger_totals *ret);
/* The sum for one listener. Connections do not move between listeners: ignore MOVED_IN
 * and MOVED_OUT. */
void ledger_sum_listener(
    struct ledger *ledger, uint32_t listener, struct ledger_totals *ret);
uint64_t ledger_closed(const struct ledger_totals *totals);
/* Open connections of a worker or slot, which change by transfers. */
uint64_t ledger_open(const struct ledger_totals *totals);
/* Open connections of the whole server, or of a listener: exact also during transfers.
 * 0 if a worker has falsified its counters to more closed than accepted ones. */
uint64_t ledger_open_total(const struct ledger_totals *totals);
/* Counts; for the owner of the block only. Release order: a reader that sees the close
 * of a connection also sees its accept. */
static inline void
ledger_count(struct ledger_block *block, enum ledger_counter counter, uint64_t n)
{
	_Atomic uint64_t *c = &block->counters[counter];
	atomic_store_explicit(
	    c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_release);
}

/* The owner's own count. */
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

static inline void
ledger_count_fault(struct ledger_block *block, enum fault_kind kind)
{
	_Atomic uint64_t *c = &block->faults[kind];
	atomic_store_explicit(
	    c, atomic_load_explicit(c, memory_order_relaxed) + 1, memory_order_release);
}

/* Changes a gauge. */
static inline void
ledger_add_gauge(_Atomic uint64_t *gauge, int64_t n)
{
	uint64_t value = atomic_load_explicit(gauge, memory_order_relaxed);
	atomic_store_explicit(gauge, value + (uint64_t)n, memory_order_release);
}

static inline void
ledger_add_open(struct ledger_block *block, int64_t n)
{
	ledger_add_gauge(&block->open, n);
}

/* Marks the time from accept(2) until its result is counted, so that the master can
 * tell if the worker died in between. */
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
