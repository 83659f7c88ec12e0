/*
 * result.h - what a run found: everything that a report shows and that the JSON
 * "yodel.result/1" (client/result.schema.json) carries.
 *
 * A result owns all that it points to, so that one read from a file, one collected from
 * the generator processes and one merged from several machines are the same thing.
 * Of the measured messages always:
 *
 *   sent = verified + wrong + sum(lost) + in_flight
 *
 *   watch, tallies --result_collect--> struct result --result_write_json--> file
 *                        result_merge <------------------result_read_json-- file
 */
#ifndef CLIENT_RESULT_RESULT_H
#define CLIENT_RESULT_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/stats/histogram.h"

#include "client/measure/counters.h"
#include "client/measure/sampler.h"
#include "client/plan/threshold.h"

#define RESULT_SCHEMA "yodel.result/1"
#define RESULT_MISMATCHES_MAX 64
#define RESULT_LOST_MAX 64
#define RESULT_ERROR_MAX 256
#define RESULT_FIGURE_MAX 1e18 /* of any figure that is no count */

/* What was asked for. The names are the keys of "plan", and beside each one stands what
 * ranks make of it: their own value (that of the first), the sum or the most. */
/* clang-format off */
#define RESULT_PLAN_TEXTS(X)                                                           \
	X(load, OWN)    /* plan_load_names */                                          \
	X(message, OWN) /* what is sent, in words */                                   \
	X(expect, OWN) X(framing, OWN) X(arrivals, OWN) X(close, OWN)
#define RESULT_PLAN_COUNTS(X)                                                          \
	X(connections, OWN) /* in all ranks: a whole that has none is the sum */       \
	X(rank_connections, SUM)                                                       \
	X(processes, SUM) X(messages, OWN) X(pipeline, OWN) X(source_count, OWN)       \
	X(slow_read, OWN) X(messages_per_connection, OWN) X(duration_ns, OWN)          \
	X(interval_ns, OWN) X(ramp_ns, OWN) X(warmup_ns, OWN) X(drain_ns, OWN)         \
	X(spin_ns, OWN) X(timeout_ns, OWN) X(connect_timeout_ns, OWN)                  \
	X(lifetime_ns, OWN) X(rank, OWN) X(ranks, OWN)
#define RESULT_PLAN_REALS(X) X(rate, OWN) X(connect_rate, OWN)
#define RESULT_PLAN_FLAGS(X)                                                           \
	X(reconnect, OWN) X(dribble, OWN) X(half_close, OWN) X(strict, MOST)
/* clang-format on */

struct result_plan {
	char **targets;
	size_t target_count;
	uint64_t seed; /* all 64 bits: a signed number in JSON */
#define X(name, how) char *name;
	RESULT_PLAN_TEXTS(X)
#undef X
#define X(name, how) uint64_t name;
	RESULT_PLAN_COUNTS(X)
#undef X
#define X(name, how) double name; /* a second, in all ranks; 0: not asked for */
	RESULT_PLAN_REALS(X)
#undef X
#define X(name, how) bool name;
	RESULT_PLAN_FLAGS(X)
#undef X
};

struct result_connections {
	uint64_t requested;
	uint64_t attempted;
	uint64_t established; /* reconnects among them */
	uint64_t failed[CONNECT_FAILURE_COUNT];
	uint64_t reconnects;
	uint64_t lost;  /* broken by the peer or by a timeout */
	uint64_t reset; /* of the lost ones */
	uint64_t first; /* sockets that were ever established */
};

/* One of the targets. */
struct result_target {
	char *name;
	uint64_t established;
	uint64_t failed[CONNECT_FAILURE_COUNT];
	char *last_error; /* of the last failure; may be empty */
};

/* One of the first that were lost. */
struct result_lost_connection {
	uint64_t connection;  /* in all ranks, from 0 */
	char *at;             /* as started_at */
	char *why;            /* counters_loss_names */
	char *local, *remote; /* addresses with their ports */
	uint64_t messages, message, answer_bytes, answer_length; /* as in the tally */
	uint64_t unacknowledged, waited_ns, silent_ns;
};

/* Local ports, which connections and those in TIME_WAIT hold. 0: not looked at. */
struct result_ports {
	uint64_t available; /* to each of our source addresses and targets, summed */
	uint64_t held_max;  /* by our open connections, and in TIME_WAIT since */
	uint64_t time_wait_before; /* in the network namespace: before the run */
	uint64_t time_wait_max;    /* ... and the most during it */
};

struct result_messages {
	uint64_t sent, verified, wrong;
	uint64_t lost[MESSAGE_LOSS_COUNT];
	uint64_t in_flight;
};

/* One generator process. */
struct result_process {
	uint64_t process, pid, connections;
	uint64_t sent, verified;
	double cpu_user_s, cpu_sys_s, cpu_share; /* of one CPU while it ran, 0 to 1 */
	uint64_t loop_lag_max_ns;
	bool died;
};

/* One of the results that were merged into this one. */
struct result_rank {
	uint64_t rank;
	char *hostname;
	char *started_at;
	double elapsed_s, messages_per_s;
	struct result_messages messages;
	uint64_t p50_ns, p90_ns, p99_ns, p999_ns, p9999_ns, max_ns; /* response */
	char *verdict;
	char *reasons; /* of the verdict, joined; may be empty */
};

struct result_host {
	char *hostname, *kernel;
	uint64_t cpus;                /* allowed to us */
	double cpu_user_s, cpu_sys_s; /* of the generators */
	uint64_t memory_bytes;        /* resident, of the largest generator */
	uint64_t retransmits;         /* of our connections, those needed */
	uint64_t host_retransmits;    /* of the network namespace, meanwhile */
	uint64_t listen_overflows, listen_drops;
};

enum result_verdict { RESULT_VALID, RESULT_SUSPECT, RESULT_INVALID };
extern const char *const result_verdict_names[]; /* NULL at the end */

struct result_trust {
	enum result_verdict verdict;
	char **reasons;
	size_t reason_count;
};

struct result {
	struct result_plan plan;
	uint64_t started_at_ns; /* CLOCK_REALTIME */
	double elapsed_s;       /* of the measured part */
	bool interrupted;
	struct result_connections connections;
	struct result_target *targets;
	size_t target_count;
	struct result_ports ports;
	struct result_messages messages, warmup;
	uint64_t messages_due, messages_late, oldest_lost_ns;
	uint64_t bytes_sent, bytes_received, bytes_unexpected;
	double messages_per_s, connections_per_s;
	struct histogram *latency[LATENCY_KIND_COUNT];
	struct result_lost_connection *lost_connections;
	size_t lost_connection_count;
	struct counters_mismatch *mismatches;
	size_t mismatch_count;
	struct result_process *processes;
	size_t process_count;
	struct result_second *seconds;
	size_t second_count;
	struct result_rank *ranks; /* of a merged result */
	size_t rank_count;
	struct threshold_outcome *thresholds;
	size_t threshold_count;
	struct result_trust trust;
	struct result_host host;
	char *ledger; /* a JSON object as text; NULL: none was asked for */
};

/* Empty, with its histograms. 0, or -1 with errno ENOMEM. */
int result_init(struct result *result) __attribute__((warn_unused_result));
void result_finish(struct result *result);

/* Fills *ret (result_init is called here) from what the processes counted, at the end
 * or in the middle of a run; judges the thresholds of the plan and the trust. `watch`
 * as of sampler_start, may be NULL. ledger is a JSON object as text, copied, or NULL.
 * 0, or -1 with errno. */
struct sampler;
int result_collect(const struct plan *plan, const struct counters_map *counters_map,
    const struct sampler *sampler, const char *ledger, struct result *ret)
    __attribute__((warn_unused_result));

/* Judges the thresholds that it holds, and the trust, anew. 0, or -1 with ENOMEM. */
int result_evaluate(struct result *result) __attribute__((warn_unused_result));

/* Makes a result a merged one, of itself alone: which of its plan's ranks are there is
 * then part of its trust. 0, or -1 with errno ENOMEM. */
int result_merge_start(struct result *result) __attribute__((warn_unused_result));

/* Adds the result of another rank, or of ranks that were merged before: counts and
 * histograms exactly, seconds by the clock. The parts must be of the same load and
 * different ranks. 0, or -1 with one line in error[RESULT_ERROR_MAX], after which *into
 * is only good for result_finish. result_evaluate is the caller's. */
int result_merge(struct result *into, const struct result *from, char *error)
    __attribute__((warn_unused_result));

/* The exit status that tells it: the worst of 2 (wrong bytes), 1 (messages or
 * connections lost or never made, no message sent at all), 99 (a threshold failed), 3
 * (--strict and not to be trusted), 0. */
int result_exit_status(const struct result *result);

/* A figure as a whole number: 0 for NAN and what is negative, RESULT_FIGURE_MAX at
 * most. */
static inline uint64_t
result_whole(double figure)
{
	if (!(figure > 0))
		return 0;
	return (
	    uint64_t)(figure < RESULT_FIGURE_MAX ? figure + 0.5 : RESULT_FIGURE_MAX);
}

uint64_t result_lost(const struct result_messages *messages);
uint64_t result_failed(const struct result_connections *connections);
/* The messages that the plan has in number, of all connections; 0 when it is a time
 * that bounds it. A double: the product may be beyond 64 bits. */
double result_asked(const struct result *result);

bool result_adds_up(const struct result_messages *messages);

/* Of values that come second by second, neighbours are alike: how many independent ones
 * the response latencies are worth (batch means over the seconds), at most their count.
 */
double result_effective_count(const struct result *result);

/* 0, or -1 when memory ran out or the file could not be written (errno). */
int result_write_json(const struct result *result, FILE *file)
    __attribute__((warn_unused_result));

/* Reads one result, to the end of the file. 0 (the caller calls result_finish), or -1
 * with one line in error[RESULT_ERROR_MAX]: where, what was found, what was wanted. */
int result_read_json(FILE *file, struct result *ret, char *error)
    __attribute__((warn_unused_result));

#endif
