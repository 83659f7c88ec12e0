/*
 * tally.h - what the generator processes count: one slot each, in memory shared with
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
#ifndef CLIENT_TALLY_H
#define CLIENT_TALLY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/stats/histogram.h"

#include "net/address.h"

#include "client/plan.h"
#include "client/sighting.h"

#define TALLY_MISMATCHES_MAX 16 /* the first ones, of each process */
#define TALLY_LOST_MAX 16       /* likewise, of lost connections */
#define TALLY_WINDOW_MAX 32     /* bytes shown of what was expected and of what came */
#define TALLY_LOOKS_MAX 96
#define TALLY_LINE 64 /* bytes of a cache line */

/* Histograms of one process, in nanoseconds; all have the configuration
 * tally_histogram. */
#define TALLY_HISTOGRAMS(X)                                                            \
	X(RESPONSE, "response", "from the intended send time to the whole answer")     \
	X(SERVICE, "service", "from the write to the whole answer")                    \
	X(SEND_LAG, "send_lag", "from the intended send time to the write")            \
	X(CONNECT, "connect", "from connect() to established")                         \
	X(CLOSE, "close", "from our FIN to the peer's")                                \
	X(LOOP_LAG, "loop_lag", "from the asked wake-up to the actual one")            \
	X(AGE, "age", "of a message when it was given up as lost")

enum tally_histogram {
#define X(id, name, help) TALLY_##id,
	TALLY_HISTOGRAMS(X)
#undef X
	    TALLY_HISTOGRAM_COUNT
};
extern const char *const tally_histogram_names[];
extern const struct histogram_config tally_histogram_config; /* 1 ns, 1 h, 3 digits */

/* Why a connect failed. */
#define TALLY_CONNECT_FAILURES(X)                                                      \
	X(REFUSED, "refused")                                                          \
	X(UNREACHABLE, "unreachable")                                                  \
	X(TIMEOUT, "timeout")                                                          \
	X(RESET, "reset")                                                              \
	X(OTHER, "other")

enum tally_connect_failure {
#define X(id, name) TALLY_CONNECT_##id,
	TALLY_CONNECT_FAILURES(X)
#undef X
	    TALLY_CONNECT_FAILURE_COUNT
};
extern const char *const tally_connect_failure_names[];

/* Why a message was lost. */
#define TALLY_LOSSES(X)                                                                \
	X(TIMEOUT, "timeout")                                                          \
	X(RESET, "reset")                                                              \
	X(CLOSED, "closed")

enum tally_loss {
#define X(id, name) TALLY_LOST_##id,
	TALLY_LOSSES(X)
#undef X
	    TALLY_LOSS_COUNT
};
extern const char *const tally_loss_names[];

typedef _Atomic uint64_t tally_count;

struct tally_messages {
	tally_count
	    sent; /* the whole message was given to the kernel, or its first byte */
	tally_count verified; /* answered, every byte right (or --expect none) */
	tally_count wrong;
	tally_count lost[TALLY_LOSS_COUNT];
	tally_count in_flight;
};

struct tally_target {
	tally_count established;
	tally_count failed[TALLY_CONNECT_FAILURE_COUNT];
	_Atomic int last_errno; /* of the last failure; 0: none */
};

/* One of the first wrong answers. Complete before `mismatches` counts it. */
struct tally_mismatch {
	uint64_t connection; /* in all ranks, from 0 */
	uint64_t message;    /* of that connection, from 0 */
	uint64_t offset; /* bytes of answers on that connection before the wrong one */
	uint64_t answer_offset; /* the same, from the start of the answer */
	uint32_t expected_length;
	uint32_t got_length;
	uint8_t expected[TALLY_WINDOW_MAX];
	uint8_t got[TALLY_WINDOW_MAX];
	char looks_like[TALLY_LOOKS_MAX];
	char at[SIGHTING_TIME_MAX]; /* by the day's clock */
	char local[ADDRESS_TEXT_MAX];
};

/* One of the first lost connections. Complete before `lost_connections` counts it. */
struct tally_lost_connection {
	uint64_t connection; /* in all ranks, from 0 */
	uint64_t at_ns;      /* CLOCK_MONOTONIC */
	enum tally_loss why;
	uint64_t messages;       /* lost with it */
	uint64_t message;        /* the first of them */
	uint64_t answer_bytes;   /* that had come of the answer to it, ... */
	uint64_t answer_length;  /* ...of so many */
	uint64_t unacknowledged; /* bytes that the peer's kernel never confirmed */
	uint64_t waited_ns;      /* since the first one was written */
	uint64_t silent_ns;      /* since the last byte came, or the connection */
	char local[ADDRESS_TEXT_MAX], remote[ADDRESS_TEXT_MAX];
};

enum tally_phase {
	TALLY_STARTING,   /* not yet in its loop */
	TALLY_CONNECTING, /* before the common start */
	TALLY_WAITING,    /* every connection made or failed: ready for the start */
	TALLY_RUNNING,
	TALLY_DRAINING, /* sends no more, waits for answers */
	TALLY_FINISHED, /* everything counted */
	TALLY_DIED,     /* written by the parent: ended without finishing */
};

/* What one generator process counts. */
struct tally {
	_Alignas(TALLY_LINE) _Atomic uint32_t phase; /* enum tally_phase */
	_Atomic int32_t pid;
	uint32_t process;     /* 0 .. processes - 1 */
	uint32_t connections; /* asked of this process */
	uint32_t first;       /* index of its first connection, in all ranks */

	tally_count rounds_done; /* lockstep: UINT64_MAX when nothing is left to do */

	/* connections: attempts = established + sum(failed) + still connecting */
	tally_count connections_attempted;
	tally_count connections_established;
	tally_count connections_failed[TALLY_CONNECT_FAILURE_COUNT];
	tally_count reconnects;       /* of those established: not the socket's first */
	tally_count connections_open; /* now */
	tally_count connections_done; /* sockets with nothing left to do */
	tally_count connections_lost; /* broken by the peer or by a timeout */
	tally_count connections_reset; /* of the lost ones: by RST */
	tally_count connections_first; /* sockets that were ever established */

	/* messages: measured, and those of the warm-up, apart */
	_Alignas(TALLY_LINE) struct tally_messages messages;
	struct tally_messages warmup;
	tally_count
	    messages_due; /* whose intended time has come (open loop, interval) */
	tally_count messages_late; /* of those sent: more than 1 ms after it */
	tally_count bytes_sent;
	tally_count bytes_received;
	tally_count bytes_surplus; /* came when nothing, or something else, was owed */

	/* times: CLOCK_MONOTONIC, 0 when it has not happened */
	_Alignas(
	    TALLY_LINE) tally_count connected_ns; /* all connections made or failed */
	tally_count started_ns;
	tally_count last_answer_ns;
	tally_count stopped_ns; /* sends no more */
	tally_count finished_ns;
	tally_count oldest_lost_ns; /* age of the oldest message given up at the end */

	/* what the client itself cost; written about once a second and at the end */
	tally_count cpu_user_ns; /* since started_ns */
	tally_count cpu_system_ns;
	tally_count context_switches; /* involuntary */
	tally_count loops;
	tally_count loop_lag_max_ns;
	tally_count retransmits; /* TCP_INFO, of connections closed: those needed */

	_Atomic uint32_t mismatches; /* entries of the array that are complete */
	struct tally_mismatch mismatch[TALLY_MISMATCHES_MAX];
	_Atomic uint32_t lost_connections; /* the same */
	struct tally_lost_connection lost_connection[TALLY_LOST_MAX];
	struct tally_target targets[PLAN_TARGETS_MAX];

	struct histogram *histograms[TALLY_HISTOGRAM_COUNT]; /* in the shared memory */
};

/* What all processes of a run share. The parent writes it, but for `expect`. */
struct board {
	_Alignas(TALLY_LINE) _Atomic uint64_t
	    start_ns;           /* CLOCK_MONOTONIC; 0: not yet known */
	_Atomic uint64_t round; /* lockstep: the message that is to be sent now */
	_Atomic uint32_t stop;  /* 1: send no more, drain; 2 and more: end now */
	_Atomic uint32_t
	    expect; /* --expect auto: 0 not told yet, else 1 + enum reply_kind */
	uint64_t started_at_ns; /* CLOCK_REALTIME at start_ns */
	uint32_t slots;
};

/* The shared memory of a run, before the fork. NULL with errno. */
struct tallies {
	struct board *board;
	uint8_t *first; /* slot 0 */
	size_t slot_bytes;
	size_t total_bytes;
	uint32_t count;
};
int tallies_open(struct tallies *ret, uint32_t count)
    __attribute__((warn_unused_result));
void tallies_close(struct tallies *tallies);

static inline struct tally *
tallies_at(const struct tallies *tallies, uint32_t process)
{
	return (struct tally *)(void *)(tallies->first + process * tallies->slot_bytes);
}

/* One writer: a plain load and store, no bus lock. */
static inline void
tally_add(tally_count *count, uint64_t n)
{
	atomic_store_explicit(count,
	    atomic_load_explicit(count, memory_order_relaxed) + n,
	    memory_order_relaxed);
}

static inline uint64_t
tally_get(const tally_count *count)
{
	return atomic_load_explicit(count, memory_order_relaxed);
}

/* Sum of lost[] */
uint64_t tally_lost(const struct tally_messages *messages);

#endif
