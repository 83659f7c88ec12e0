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

#include "client/measure/counters.h"
#include "client/result/result.h"

/* Counters of the kernel, of this network namespace. */
struct sampler_kernel {
	uint64_t retransmits, listen_overflows, listen_drops;
};

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
	struct sampler_kernel kernel;             /* at sampler_start */
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

/* The counters now; what cannot be read is 0. */
void sampler_read_kernel(struct sampler_kernel *ret);

#endif
