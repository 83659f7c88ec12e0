/*
 * counters.h - what the generator processes count: one slot each, in memory shared with
 * the parent.
 *
 * A slot has one writer, its process, which writes with relaxed atomic stores (a plain
 * increment for the machine); the parent reads at any time and adds up. A slot stays
 * readable when its process has died. Of each slot, whenever its process is not in the
 * middle of one event, and for the measured part and the warm-up alike:
 *
 *   sent = verified + wrong + sum(lost) + in_flight
 *
 * When a process dies, the parent books its messages in flight as lost{closed}.
 *
 *   [ struct board ][ slot 0: struct tally | histograms | ... ][ slot 1 ] ...
 */
#ifndef CLIENT_MEASURE_COUNTERS_H
#define CLIENT_MEASURE_COUNTERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/stats/histogram.h"

#include "net/address.h"

#include "client/measure/timestamps.h"
#include "client/plan/plan.h"
#include "client/plan/threshold.h"

#define COUNTERS_MISMATCHES_MAX 16 /* the first ones, of each process */
#define COUNTERS_LOST_MAX 16       /* likewise, of lost connections */
#define COUNTERS_EXCERPT_MAX                                                           \
	32 /* bytes shown of what was expected and of what came                        \
	    */
#define COUNTERS_DIAGNOSIS_MAX 96
#define COUNTERS_CACHE_LINE 64 /* bytes of a cache line */

extern const struct histogram_config counters_latency_config; /* 1 ns, 1 h, 3 digits */

/* Why a connect failed. */
#define CONNECT_FAILURES(X)                                                            \
	X(REFUSED, "refused")                                                          \
	X(UNREACHABLE, "unreachable")                                                  \
	X(TIMEOUT, "timeout")                                                          \
	X(RESET, "reset")                                                              \
	X(OTHER, "other")

enum connect_failure {
#define X(id, name) CONNECT_FAILURE_##id,
	CONNECT_FAILURES(X)
#undef X
	    CONNECT_FAILURE_COUNT
};
extern const char *const counters_connect_failure_names[];

/* Why a message was lost. */
#define MESSAGE_LOSSES(X)                                                              \
	X(TIMEOUT, "timeout")                                                          \
	X(RESET, "reset")                                                              \
	X(CLOSED, "closed")

enum message_loss {
#define X(id, name) MESSAGE_LOSS_##id,
	MESSAGE_LOSSES(X)
#undef X
	    MESSAGE_LOSS_COUNT
};
extern const char *const counters_loss_names[];

typedef _Atomic uint64_t counters_value;

struct counters_messages {
	counters_value
	    sent; /* the whole message was given to the kernel, or its first byte */
	counters_value verified; /* answered, every byte right (or --expect none) */
	counters_value wrong;
	counters_value lost[MESSAGE_LOSS_COUNT];
	counters_value in_flight;
};

struct counters_target {
	counters_value established;
	counters_value failed[CONNECT_FAILURE_COUNT];
	_Atomic int last_errno; /* of the last failure; 0: none */
};

/* One of the first wrong answers. Complete before `mismatches` counts it. */
struct counters_mismatch {
	uint64_t connection; /* in all ranks, from 0 */
	uint64_t message;    /* of that connection, from 0 */
	uint64_t offset; /* bytes of answers on that connection before the wrong one */
	uint64_t answer_offset; /* the same, from the start of the answer */
	uint32_t expected_length;
	uint32_t got_length;
	uint8_t expected[COUNTERS_EXCERPT_MAX];
	uint8_t got[COUNTERS_EXCERPT_MAX];
	char looks_like[COUNTERS_DIAGNOSIS_MAX];
	char at[TIMESTAMPS_TEXT_MAX]; /* by the day's clock */
	char local[ADDRESS_TEXT_MAX];
};

/* One of the first lost connections. Complete before `lost_connections` counts it. */
struct counters_lost_connection {
	uint64_t connection; /* in all ranks, from 0 */
	uint64_t at_ns;      /* CLOCK_MONOTONIC */
	enum message_loss why;
	uint64_t messages;       /* lost with it */
	uint64_t message;        /* the first of them */
	uint64_t answer_bytes;   /* that had come of the answer to it, ... */
	uint64_t answer_length;  /* ...of so many */
	uint64_t unacknowledged; /* bytes that the peer's kernel never confirmed */
	uint64_t waited_ns;      /* since the first one was written */
	uint64_t silent_ns;      /* since the last byte came, or the connection */
	char local[ADDRESS_TEXT_MAX], remote[ADDRESS_TEXT_MAX];
};

enum load_phase {
	PHASE_STARTING,   /* not yet in its loop */
	PHASE_CONNECTING, /* before the common start */
	PHASE_WAITING,    /* every connection made or failed: ready for the start */
	PHASE_RUNNING,
	PHASE_DRAINING, /* sends no more, waits for answers */
	PHASE_FINISHED, /* everything counted */
	PHASE_DIED,     /* written by the parent: ended without finishing */
};

/* What one generator process counts. */
struct counters {
	_Alignas(COUNTERS_CACHE_LINE) _Atomic uint32_t phase; /* enum load_phase */
	_Atomic int32_t pid;
	uint32_t process;     /* 0 .. processes - 1 */
	uint32_t connections; /* asked of this process */
	uint32_t first;       /* index of its first connection, in all ranks */

	counters_value
	    rounds_done; /* lockstep: UINT64_MAX when nothing is left to do */

	/* connections: attempts = established + sum(failed) + still connecting */
	counters_value connections_attempted;
	counters_value connections_established;
	counters_value connections_failed[CONNECT_FAILURE_COUNT];
	counters_value reconnects; /* of those established: not the socket's first */
	counters_value connections_open;  /* now */
	counters_value connections_done;  /* sockets with nothing left to do */
	counters_value connections_lost;  /* broken by the peer or by a timeout */
	counters_value connections_reset; /* of the lost ones: by RST */
	counters_value connections_first; /* sockets that were ever established */

	/* messages: measured, and those of the warm-up, apart */
	_Alignas(COUNTERS_CACHE_LINE) struct counters_messages messages;
	struct counters_messages warmup;
	counters_value
	    messages_due; /* whose intended time has come (open loop, interval) */
	counters_value messages_late; /* of those sent: more than 1 ms after it */
	counters_value bytes_sent;
	counters_value bytes_received;
	counters_value
	    bytes_unexpected; /* came when nothing, or something else, was owed */

	/* times: CLOCK_MONOTONIC, 0 when it has not happened */
	_Alignas(COUNTERS_CACHE_LINE)
	    counters_value connected_ns; /* all connections made or failed */
	counters_value started_ns;
	counters_value last_answer_ns;
	counters_value stopped_ns; /* sends no more */
	counters_value finished_ns;
	counters_value
	    oldest_lost_ns; /* age of the oldest message given up at the end */

	/* what the client itself cost; written about once a second and at the end */
	counters_value cpu_user_ns; /* since started_ns */
	counters_value cpu_system_ns;
	counters_value context_switches; /* involuntary */
	counters_value loops;
	counters_value loop_lag_max_ns;
	counters_value retransmits; /* TCP_INFO, of connections closed: those needed */

	_Atomic uint32_t mismatches; /* entries of the array that are complete */
	struct counters_mismatch mismatch[COUNTERS_MISMATCHES_MAX];
	_Atomic uint32_t lost_connections; /* the same */
	struct counters_lost_connection lost_connection[COUNTERS_LOST_MAX];
	struct counters_target targets[PLAN_TARGETS_MAX];

	struct histogram *histograms[LATENCY_KIND_COUNT]; /* in the shared memory */
};

/* What all processes of a run share. The parent writes it, but for `expect`. */
struct control_block {
	_Alignas(COUNTERS_CACHE_LINE) _Atomic uint64_t
	    start_ns;           /* CLOCK_MONOTONIC; 0: not yet known */
	_Atomic uint64_t round; /* lockstep: the message that is to be sent now */
	_Atomic uint32_t stop;  /* 1: send no more, drain; 2 and more: end now */
	_Atomic uint32_t
	    expect; /* --expect auto: 0 not told yet, else 1 + enum reply_kind */
	uint64_t started_at_ns; /* CLOCK_REALTIME at start_ns */
	uint32_t slots;
};

/* The shared memory of a run, before the fork. NULL with errno. */
struct counters_map {
	struct control_block *control_block;
	uint8_t *first; /* slot 0 */
	size_t slot_bytes;
	size_t total_bytes;
	uint32_t count;
};
int counters_map_open(struct counters_map *ret, uint32_t count)
    __attribute__((warn_unused_result));
void counters_map_close(struct counters_map *counters_map);

static inline struct counters *
counters_map_at(const struct counters_map *counters_map, uint32_t process)
{
	return (struct counters *)(void *)(counters_map->first +
	    process * counters_map->slot_bytes);
}

/* One writer: a plain load and store, no bus lock. */
static inline void
counters_add(counters_value *count, uint64_t n)
{
	atomic_store_explicit(count,
	    atomic_load_explicit(count, memory_order_relaxed) + n,
	    memory_order_relaxed);
}

static inline void
counters_set(counters_value *count, uint64_t value)
{
	atomic_store_explicit(count, value, memory_order_relaxed);
}

static inline uint64_t
counters_get(const counters_value *count)
{
	return atomic_load_explicit(count, memory_order_relaxed);
}

/* Sum of lost[] */
uint64_t counters_lost(const struct counters_messages *messages);

#endif
