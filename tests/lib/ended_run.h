/*
 * ended_run.h - a run of two generators that has ended: 1,000 messages each, all
 * verified. For the tests of what becomes of it.
 */
#ifndef TESTS_ENDED_RUN_H
#define TESTS_ENDED_RUN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs some of those above */
#include <cmocka.h>

#include "client/result.h"
#include "client/tally.h"

#define SECOND UINT64_C(1000000000)

struct run {
	struct plan plan;
	struct tallies tallies;
};

static inline void
set(tally_count *count, uint64_t number)
{
	atomic_store(count, number);
}

static inline void
fill(struct tally *tally, uint64_t start)
{
	atomic_store(&tally->phase, TALLY_FINISHED);
	tally->connections = 5;
	set(&tally->connections_attempted, 5);
	set(&tally->connections_established, 5);
	set(&tally->connections_first, 5);
	set(&tally->messages.sent, 1000);
	set(&tally->messages.verified, 1000);
	set(&tally->bytes_sent, 64000);
	set(&tally->bytes_received, 64000);
	set(&tally->connected_ns, start - 1);
	set(&tally->started_ns, start);
	set(&tally->last_answer_ns, start + 2 * SECOND);
	set(&tally->stopped_ns, start + 2 * SECOND - 5);
	set(&tally->finished_ns, start + 3 * SECOND);
	set(&tally->cpu_user_ns, SECOND / 2);
	for (uint64_t v = 1; v <= 1000; v++) {
		histogram_record(tally->histograms[TALLY_RESPONSE], v * 1000);
		histogram_record(tally->histograms[TALLY_SERVICE], v * 900);
	}
	for (int v = 0; v < 5; v++)
		histogram_record(tally->histograms[TALLY_CONNECT], 50000);
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
	assert_int_equal(tallies_open(&run->tallies, 2), 0);
	run->tallies.board->start_ns = 5 * SECOND;
	run->tallies.board->started_at_ns = 1700000000 * SECOND + 123456789;
	fill(tallies_at(&run->tallies, 0), 5 * SECOND);
	fill(tallies_at(&run->tallies, 1), 5 * SECOND);
	*state = run;
	return 0;
}

static inline int
tear_down(void **state)
{
	struct run *run = *state;

	tallies_close(&run->tallies);
	free(run);
	return 0;
}

static inline struct result
collect(struct run *run)
{
	struct result result;

	assert_int_equal(
	    result_collect(&run->plan, &run->tallies, NULL, NULL, &result), 0);
	return result;
}

#endif
