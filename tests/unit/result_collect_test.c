#include "tests/lib/finished_run_fixture.h"

static void
the_warm_up_is_counted_separately_and_affects_the_exit_status(void **state)
{
	struct run *run = *state;
	struct counters *counters = counters_map_at(&run->counters_map, 0);
	struct result result;

	/* The planned messages include the warm-up. */
	run->plan.messages = 201;
	set(&counters->warmup.sent, 10);
	set(&counters->warmup.verified, 10);
	result = collect(run);
	assert_true(result.warmup.sent == 10 && result.warmup.verified == 10);
	assert_true(result.messages.sent == 2000);
	assert_int_equal(verdict_exit_status(&result), 0);
	result_finish(&result);

	set(&counters->warmup.verified, 9);
	set(&counters->warmup.lost[MESSAGE_LOSS_TIMEOUT], 1);
	result = collect(run);
	assert_int_equal(verdict_exit_status(&result), 1);
	result_finish(&result);

	set(&counters->warmup.lost[MESSAGE_LOSS_TIMEOUT], 0);
	set(&counters->warmup.in_flight, 1);
	result = collect(run);
	assert_int_equal(verdict_exit_status(&result), 1);
	result_finish(&result);

	set(&counters->warmup.in_flight, 0);
	set(&counters->warmup.wrong, 1);
	result = collect(run);
	assert_int_equal(verdict_exit_status(&result), 2);
	result_finish(&result);
}

static void
the_measured_part_begins_after_the_warm_up(void **state)
{
	struct run *run = *state;
	struct result result;

	run->plan.warmup_ns = SECOND / 2;
	result = collect(run);
	assert_true(result.elapsed_s == 1.5);
	assert_true(result.messages_per_s == 2000 / 1.5);
	assert_true(
	    result.started_at_ns == 1700000000 * SECOND + 123456789 + SECOND / 2);
	result_finish(&result);
}

static void
adds_the_counters_of_all_processes(void **state)
{
	struct run *run = *state;
	struct counters *one = counters_map_at(&run->counters_map, 0);
	struct counters *other = counters_map_at(&run->counters_map, 1);
	struct result result;

	set(&one->messages.verified, 995);
	set(&one->messages.in_flight, 5);
	set(&one->oldest_lost_ns, 9);
	set(&other->oldest_lost_ns, 3);
	set(&one->connections_lost, 4);
	set(&other->connections_lost, 3);
	set(&one->connections_reset, 2);
	set(&other->connections_reset, 1);
	set(&one->reconnects, 6);
	set(&one->targets[0].established, 5);
	set(&other->targets[0].established, 5);
	set(&one->targets[0].failed[CONNECT_FAILURE_REFUSED], 1);
	set(&other->targets[0].failed[CONNECT_FAILURE_REFUSED], 2);
	result = collect(run);
	assert_true(result.messages.in_flight == 5);
	assert_true(result_adds_up(&result.messages));
	assert_true(result.oldest_lost_ns == 9);
	assert_true(result.connections.lost == 7 && result.connections.reset == 3);
	assert_true(result.connections.reconnects == 6);
	assert_true(result.targets[0].established == 10);
	assert_true(result.targets[0].failed[CONNECT_FAILURE_REFUSED] == 3);
	result_finish(&result);
}

static void
a_lost_connection_fails_the_run_even_if_every_message_was_answered(void **state)
{
	struct run *run = *state;
	struct result result;

	set(&counters_map_at(&run->counters_map, 0)->connections_lost, 1);
	result = collect(run);
	assert_int_equal(verdict_exit_status(&result), 1);
	result_finish(&result);
}

static void
lists_at_most_64_mismatches_and_lost_connections(void **state)
{
	struct run *run = *state;
	struct result result;

	counters_map_close(&run->counters_map);
	run->plan.processes = 5;
	assert_int_equal(counters_map_open(&run->counters_map, 5, 0), 0);
	run->counters_map.control_block->start_ns = 5 * SECOND;
	for (uint32_t i = 0; i < 5; i++) {
		struct counters *counters = counters_map_at(&run->counters_map, i);
		fill(counters, 5 * SECOND);
		counters->mismatch[0].connection = i;
		atomic_store(&counters->mismatches, COUNTERS_MISMATCHES_MAX);
		atomic_store(&counters->lost_connections, COUNTERS_LOST_MAX);
	}
	result = collect(run);
	assert_int_equal(result.mismatch_count, RESULT_MISMATCHES_MAX);
	assert_int_equal(result.lost_connection_count, RESULT_LOST_MAX);
	assert_int_equal(result.mismatches[3 * COUNTERS_MISMATCHES_MAX].connection, 3);
	result_finish(&result);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define RUN(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		RUN(the_warm_up_is_counted_separately_and_affects_the_exit_status),
		RUN(the_measured_part_begins_after_the_warm_up),
		RUN(adds_the_counters_of_all_processes),
		RUN(a_lost_connection_fails_the_run_even_if_every_message_was_answered),
		RUN(lists_at_most_64_mismatches_and_lost_connections),
#undef RUN
	};

	return cmocka_run_group_tests_name("result_collect", tests, NULL, NULL);
}
