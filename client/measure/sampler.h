/*
 * sampler.h - what the parent sees while the generators run: once a second the
 * difference to the second before, for the charts, the .hlog and the progress line.
 *
 *   sampler_start (before the load) -> sampler_tick, often -> sampler_stop ->
 * result_collect
 *                                                              -> sampler_finish
 */
#ifndef CLIENT_MEASURE_SAMPLER_H
#define CLIENT_MEASURE_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/stats/histogram.h"

#include "net/socket_info.h"

#include "client/measure/counters.h"

/* One second (or so) of a run. A percentile is UINT64_MAX, null in JSON, if it is not
 * known: the second has too few values, or is merged from several hosts. */
struct result_second {
	double at_s; /* its beginning, from the start of the run */
	double length_s;
	uint64_t connections_open;
	uint64_t sent, verified, wrong, lost;
	uint64_t count; /* responses, as are the latencies below */
	double mean_ns;
	uint64_t p50_ns, p90_ns, p99_ns, max_ns;
};

/* False for the last row of a run, which may be short. */
static inline bool
result_second_is_whole(const struct result_second *second)
{
	return second->length_s >= 0.5;
}

struct sampler {
	const struct plan *plan;
	const struct counters_map *counters_map;
	FILE *hlog;          /* NULL: none; stdout is not closed */
	uint64_t began_ns;   /* CLOCK_MONOTONIC: sampler_start */
	uint64_t sampled_ns; /* of the last row's end; 0: the run has not started */
	struct result_second *rows;
	size_t count, room;
	struct result_second last; /* the sums at sampled_ns, for the next difference */
	struct histogram *before[LATENCY_KIND_COUNT]; /* all processes, sampled_ns */
	struct histogram *now, *between;
	struct network_counters network;          /* at sampler_start */
	uint64_t time_wait_before, time_wait_max; /* sockets, of this namespace */
	uint64_t ports_held_max; /* open connections, and TIME_WAIT since the start */
	bool interrupted;        /* set by the caller: Ctrl-C ended the run */
};

/* 0, or -1 with errno; the .hlog of the plan is opened here ("-" is stdout). The plan
 * and the tallies must outlive it. */
int sampler_start(struct sampler *sampler, const struct plan *plan,
    const struct counters_map *counters_map) __attribute__((warn_unused_result));

/* Takes a row when a second is over (no row before the run has started, none for the
 * warm-up). True when it took one. Call it a few times a second. */
bool sampler_tick(struct sampler *sampler, uint64_t now_ns);

/* Takes the last, shorter row. */
void sampler_stop(struct sampler *sampler, uint64_t now_ns);

/* 0, or -1 with errno when the .hlog could not be written. */
int sampler_finish(struct sampler *sampler);

#endif
