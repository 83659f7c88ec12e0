/* finished_run_fixture.h - the counters of a finished run of two load processes, each
 * with 1,000 verified messages, to test the result made of them. */
#ifndef TESTS_FINISHED_RUN_FIXTURE_H
#define TESTS_FINISHED_RUN_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs some of those above */
#include <cmocka.h>

#include "client/collect/result_collect.h"
#include "client/measure/counters.h"
#include "client/result/result.h"
#include "client/result/verdict.h"

#define SECOND UINT64_C(1000000000)

struct run {
	struct plan plan;
	struct counters_map counters_map;
};

static inline void
set(counters_value *count, uint64_t number)
{
	atomic_store(count, number);
}

static inline void
fill(struct counters *counters, uint64_t start)
{
	atomic_store(&counters->phase, PHASE_FINISHED);
	counters->connections = 5;
	set(&counters->connections_attempted, 5);
	set(&counters->connections_established, 5);
	set(&counters->connections_first, 5);
	set(&counters->messages.sent, 1000);
	set(&counters->messages.verified, 1000);
	set(&counters->bytes_sent, 64000);
	set(&counters->bytes_received, 64000);
	set(&counters->connected_ns, start - 1);
	set(&counters->started_ns, start);
	set(&counters->last_answer_ns, start + 2 * SECOND);
	set(&counters->stopped_ns, start + 2 * SECOND - 5);
	set(&counters->finished_ns, start + 3 * SECOND);
	set(&counters->cpu_user_ns, SECOND / 2);
	for (uint64_t v = 1; v <= 1000; v++) {
		histogram_record(counters->histograms[LATENCY_RESPONSE], v * 1000);
		histogram_record(counters->histograms[LATENCY_SERVICE], v * 900);
	}
	for (int v = 0; v < 5; v++)
		histogram_record(counters->histograms[LATENCY_CONNECT], 50000);
}

static inline int
set_up(void **state)
{
	struct run *run = calloc(1, sizeof(*run));

	assert_non_null(run);
	run->plan.connections = run->plan.rank_connections = 10;
	run->plan.processes = 2;
	run->plan.messages = 200;
	run->plan.pipeline = 1;
	run->plan.target_count = 1;
	run->plan.targets[0].text = "127.0.0.1:10000";
	run->plan.ranks = 1;
	assert_int_equal(counters_map_open(&run->counters_map, 2, 0), 0);
	run->counters_map.control_block->start_ns = 5 * SECOND;
	run->counters_map.control_block->started_at_ns =
	    1700000000 * SECOND + 123456789;
	fill(counters_map_at(&run->counters_map, 0), 5 * SECOND);
	fill(counters_map_at(&run->counters_map, 1), 5 * SECOND);
	*state = run;
	return 0;
}

static inline int
tear_down(void **state)
{
	struct run *run = *state;

	counters_map_close(&run->counters_map);
	free(run);
	return 0;
}

static inline struct result
collect(struct run *run)
{
	struct result result;

	result_collect(&run->plan, &run->counters_map, NULL, &result);
	return result;
}

#endif
