/*
 * sampler.h - samples the counters in the parent: once per second the difference to the
 * second before, for the charts, the .hlog and the progress line; and in shorter steps,
 * which double as the run goes on, the batches from which the precision of each figure
 * is estimated (lib/stats/batches.h).
 *
 *   sampler_start -> sampler_tick, often -> sampler_stop -> result_collect
 *                                                        -> sampler_finish
 */
#ifndef CLIENT_MEASURE_SAMPLER_H
#define CLIENT_MEASURE_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/stats/batches.h"
#include "lib/stats/histogram.h"
#include "net/socket_info.h"
#include "client/measure/counters.h"
#include "client/measure/cpu_wait.h"
#include "client/measure/sampler_row.h"
#include "client/measure/tenths.h"

struct sampler {
	const struct plan *plan;
	const struct counters_map *counters_map;
	FILE *hlog;          /* NULL: none; stdout is not closed */
	int hlog_error;      /* errno of its first failed write */
	uint64_t began_ns;   /* CLOCK_MONOTONIC: sampler_start */
	uint64_t sampled_ns; /* end of the last row; 0: the run has not started */
	struct sampler_second *rows;
	size_t count, room;
	struct sampler_second last; /* totals at sampled_ns */
	struct tenths tenths;
	uint64_t tenth_ns;                 /* end of the last row of them */
	uint64_t tenth_end_ns, row_end_ns; /* planned ends of the next rows */
	struct sampler_second last_tenth;  /* totals at tenth_ns */
	struct histogram *before[LATENCY_KIND_COUNT]; /* at sampled_ns */
	/* Batches of each latency; their duration, and the end of the last one. The
	 * connects before the start of the run are the first batch. */
	struct batches batches[LATENCY_MAX];
	struct histogram *batched[LATENCY_MAX]; /* at batched_ns */
	uint32_t latency_count;                 /* kinds and named steps */
	uint64_t batch_ns, batched_ns;
	uint64_t batch_verified; /* total at batched_ns */
	/* Messages verified in each batch, and its length. */
	double verified[BATCHES_MAX], lengths_s[BATCHES_MAX];
	struct histogram *now, *between;
	struct network_counters network; /* at sampler_start */
	struct cpu_wait_host cpu_wait;   /* at sampler_start */
	uint64_t time_wait_before,
	    time_wait_max; /* sockets of this network namespace */
	uint64_t next_ports_ns;
	uint64_t ports_held_max; /* open, or in TIME_WAIT since the start */
	bool interrupted;        /* set by the caller: Ctrl-C ended the run */
};

/* 0, or -1 with errno; the .hlog of the plan is opened here ("-" is stdout). The plan
 * and the counters must outlive it. */
int sampler_start(struct sampler *sampler, const struct plan *plan,
    const struct counters_map *counters_map) __attribute__((warn_unused_result));

/* Adds a batch if its time is over, and a row if a second is over, after the warm-up.
 * True if it added a row. To be called at sampler_next_ns() or a few times per second,
 * whichever is earlier. */
bool sampler_tick(struct sampler *sampler, uint64_t now_ns);
/* When the current batch, or row of 100 ms, ends; UINT64_MAX before the run has
 * started. */
uint64_t sampler_next_ns(const struct sampler *sampler);

/* Adds the last, shorter row. */
void sampler_stop(struct sampler *sampler, uint64_t now_ns);

/* 0, or -1 with errno if the .hlog could not be written. */
int sampler_finish(struct sampler *sampler);

#endif
