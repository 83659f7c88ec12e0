#include <stdio.h>

#include "client/measure/sampler.h"
#include "client/report/report_html.h"
#include "client/report/report_summary.h"
#include "client/report/report_text.h"
#include "client/result/trust.h"
#include "tests/lib/finished_run_fixture.h"

static void
the_counters_of_all_load_processes_are_added(void **state)
{
	struct result result = collect(*state);

	assert_true(result.messages.sent == 2000 && result.messages.verified == 2000);
	assert_true(result_adds_up(&result.messages));
	assert_true(result.connections.requested == 10);
	assert_true(result.bytes_sent == 128000);
	assert_true(histogram_count(result.latency[LATENCY_RESPONSE]) == 2000);
	assert_true(histogram_max(result.latency[LATENCY_RESPONSE]) == 1000000);
	assert_true(result.elapsed_s > 1.99 && result.elapsed_s < 2.01);
	assert_true(result.messages_per_s > 995 && result.messages_per_s < 1005);
	assert_int_equal(result.process_count, 2);
	/* Half a second of CPU in two of load; the drain afterwards does not count. */
	assert_true(result.processes[0].cpu_share > 0.24);
	assert_true(result.processes[0].cpu_share < 0.26);
	assert_int_equal(verdict_exit_status(&result), 0);
	assert_int_equal(result.trust.verdict, RESULT_VALID);
	result_finish(&result);
}

static void
excludes_the_timeout_of_lost_messages_from_the_duration(void **state)
{
	struct run *run = *state;
	struct counters *counters = counters_map_at(&run->counters_map, 1);
	struct result result;

	/* The process stopped when its last message timed out. */
	set(&counters->stopped_ns, 15 * SECOND);
	set(&counters->messages.verified, 999);
	set(&counters->messages.lost[MESSAGE_LOSS_TIMEOUT], 1);
	result = collect(run);
	assert_true(result.elapsed_s == 2);
	result_finish(&result);
	/* A process that died has no stop time. */
	set(&counters->stopped_ns, 0);
	set(&counters->finished_ns, 0);
	atomic_store(&counters->phase, PHASE_DIED);
	result = collect(run);
	assert_true(result.elapsed_s == 2);
	result_finish(&result);
	/* A run with a duration lasts that long. */
	run->plan.duration_ns = 4 * SECOND;
	set(&counters->stopped_ns, 9 * SECOND);
	result = collect(run);
	assert_true(result.elapsed_s == 4);
	result_finish(&result);
}

static void
the_worst_outcome_gives_the_exit_status(void **state)
{
	struct run *run = *state;
	struct counters *counters = counters_map_at(&run->counters_map, 1);
	static const char *items[] = { "p99<1us" };
	struct result result;

	run->plan.strict = true;
	atomic_store(&counters->phase, PHASE_DIED);
	result = collect(run);
	assert_int_equal(result.trust.verdict, RESULT_INVALID);
	assert_int_equal(verdict_exit_status(&result), 3);
	result_finish(&result);

	run->plan.thresholds.items = items;
	run->plan.thresholds.count = 1;
	result = collect(run);
	assert_int_equal(verdict_exit_status(&result), 99);
	result_finish(&result);

	set(&counters->messages.verified, 998);
	set(&counters->messages.lost[MESSAGE_LOSS_RESET], 2);
	result = collect(run);
	assert_int_equal(verdict_exit_status(&result), 1);
	result_finish(&result);

	set(&counters->messages.verified, 997);
	set(&counters->messages.wrong, 1);
	result = collect(run);
	assert_int_equal(verdict_exit_status(&result), 2);
	result_finish(&result);
}

static void
unbalanced_counters_fail(void **state)
{
	struct run *run = *state;
	struct result result;

	set(&counters_map_at(&run->counters_map, 0)->messages.sent, 1001);
	result = collect(run);
	assert_false(result_adds_up(&result.messages));
	assert_int_equal(verdict_exit_status(&result), 1);
	assert_int_equal(result.trust.verdict, RESULT_INVALID);
	result_finish(&result);
}

static void
a_connection_never_established_fails(void **state)
{
	struct run *run = *state;
	struct counters *counters = counters_map_at(&run->counters_map, 0);
	struct result result;

	set(&counters->connections_established, 4);
	set(&counters->connections_first, 4);
	set(&counters->connections_failed[CONNECT_FAILURE_REFUSED], 1);
	result = collect(run);
	assert_int_equal(verdict_exit_status(&result), 1);
	result_finish(&result);
}

static void
unsent_messages_fail(void **state)
{
	struct run *run = *state;
	struct result result;
	char outcome[REPORT_SUMMARY_MAX];

	run->plan.messages = 201;
	result = collect(run);
	assert_true(result_asked(&result) == 2010);
	assert_int_equal(verdict_exit_status(&result), 1);
	assert_string_equal(report_summary(&result, outcome),
	    "FAILED: 10 of 2,010 messages were not sent");
	result_finish(&result);
	/* If a duration ends the run, the number is only an upper limit. */
	run->plan.duration_ns = 2 * SECOND;
	result = collect(run);
	assert_true(result_asked(&result) == 0);
	assert_int_equal(verdict_exit_status(&result), 0);
	result_finish(&result);
}

/* One line must name every kind of loss. */
static void
the_summary_names_all_losses_and_errors(void **state)
{
	struct run *run = *state;
	struct counters *counters = counters_map_at(&run->counters_map, 0);
	struct result result;
	char outcome[REPORT_SUMMARY_MAX];

	run->plan.messages = 201;
	set(&counters->messages.verified, 999);
	set(&counters->messages.lost[MESSAGE_LOSS_CLOSED], 1);
	set(&counters->connections_lost, 3);
	result = collect(run);
	assert_string_equal(report_summary(&result, outcome),
	    "FAILED: 3 connections were lost, 1 of 2,000 messages was not answered, 10 of 2,010 messages were not sent");
	result_finish(&result);
	run->plan.messages = 0;
	run->plan.duration_ns = 2 * SECOND;
	set(&counters->messages_due, 1300);
	set(&counters_map_at(&run->counters_map, 1)->messages_due, 1000);
	result = collect(run);
	assert_string_equal(report_summary(&result, outcome),
	    "FAILED: 3 connections were lost, 1 of 2,000 messages was not answered, 300 of 2,300 scheduled messages were not sent");
	result_finish(&result);
	run->plan.messages = 201;
	run->plan.duration_ns = 0;
	set(&counters->messages_due, 0);
	set(&counters_map_at(&run->counters_map, 1)->messages_due, 0);
	set(&counters->messages.verified, 997);
	set(&counters->messages.wrong, 2);
	set(&counters->bytes_unexpected, 64);
	set(&counters->connections_lost, 0);
	result = collect(run);
	assert_string_equal(report_summary(&result, outcome),
	    "FAILED: wrong bytes received: 2 of 2,000 messages were answered wrongly, 64 extra bytes arrived; 1 of 2,000 messages was not answered, 10 of 2,010 messages were not sent");
	result_finish(&result);
}

/* Ten of 2,000 messages were never answered. */
static struct result
collect_with_ten_lost(struct run *run)
{
	struct counters *counters = counters_map_at(&run->counters_map, 0);

	set(&counters->messages.verified, 990);
	set(&counters->messages.lost[MESSAGE_LOSS_TIMEOUT], 10);
	return collect(run);
}

static void
the_page_shows_the_outcome(void **state)
{
	struct result result = collect_with_ten_lost(*state);
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	assert_int_equal(report_html(&result, file), 0);
	fclose(file);
	assert_non_null(strstr(text,
	    "<p class=\"verdict bad\" id=\"outcome\">FAILED: 10 of 2,000 messages were not answered</p>"));
	free(text);
	result_finish(&result);
}

static void
the_report_shows_the_message_balance_and_unknown_values(void **state)
{
	struct result result = collect_with_ten_lost(*state);
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	report_text(&result, file);
	fclose(file);
	assert_non_null(strstr(
	    text, "2,000 sent = 1,990 verified + 0 wrong + 10 lost + 0 in flight"));
	assert_non_null(strstr(text, "10 timeout"));
	assert_non_null(strstr(text, "?: too few samples"));
	assert_non_null(strstr(text, "FAILED: 10 of 2,000 messages were not answered"));
	free(text);
	result_finish(&result);
}

static void
alike_responses_are_worth_fewer_samples(void **state)
{
	struct result result = collect(*state);
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	/* Not estimated without a sampler. */
	assert_true(result_effective_count(&result, LATENCY_RESPONSE) == 0);
	for (size_t i = 0; i < RESULT_PERCENTILES; i++)
		result.precision[LATENCY_RESPONSE].percentiles[i] =
		    (struct precision){ 80 + (double)i, 19 };
	assert_true(result_effective_count(&result, LATENCY_RESPONSE) == 80);
	report_text(&result, file);
	fclose(file);
	assert_non_null(strstr(text,
	    "?: too few samples; latency varied so much over time that the 2,000 responses tell no more than 80 "));
	free(text);
	result_finish(&result);
}

static void
each_second_contains_the_change_since_the_previous(void **state)
{
	struct run *run = *state;
	struct counters *counters = counters_map_at(&run->counters_map, 0);
	struct sampler sampler;

	assert_int_equal(sampler_start(&sampler, &run->plan, &run->counters_map), 0);
	assert_false(sampler_tick(&sampler, 5 * SECOND + SECOND / 2));
	assert_true(sampler_tick(&sampler, 6 * SECOND));
	set(&counters->messages.sent, 1008);
	histogram_record_many(counters->histograms[LATENCY_RESPONSE], 77000, 8);
	assert_false(sampler_tick(&sampler, 7 * SECOND - 1));
	assert_true(sampler_tick(&sampler, 7 * SECOND));
	sampler_stop(&sampler, 7 * SECOND + SECOND / 2);
	assert_int_equal(sampler.count, 3);
	assert_true(sampler.rows[0].sent == 2000 && sampler.rows[0].count == 2000);
	assert_true(sampler.rows[1].sent == 8 && sampler.rows[1].count == 8);
	assert_true(sampler.rows[1].p50_ns / 1000 == 77);
	/* Eight values are enough for the median only. */
	assert_true(sampler.rows[0].p99_ns / 1000 == 990);
	assert_true(sampler.rows[1].p90_ns == UINT64_MAX);
	assert_true(sampler.rows[1].p99_ns == UINT64_MAX);
	assert_true(sampler.rows[2].sent == 0 && sampler.rows[2].length_s == 0.5);
	assert_int_equal(sampler_finish(&sampler), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define RUN(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		RUN(the_counters_of_all_load_processes_are_added),
		RUN(excludes_the_timeout_of_lost_messages_from_the_duration),
		RUN(the_worst_outcome_gives_the_exit_status),
		RUN(unbalanced_counters_fail),
		RUN(a_connection_never_established_fails),
		RUN(unsent_messages_fail),
		RUN(the_summary_names_all_losses_and_errors),
		RUN(the_page_shows_the_outcome),
		RUN(the_report_shows_the_message_balance_and_unknown_values),
		RUN(alike_responses_are_worth_fewer_samples),
		RUN(each_second_contains_the_change_since_the_previous),
#undef RUN
	};

	setenv("COLUMNS", "1000", 1); /* lines are not folded */
	return cmocka_run_group_tests_name("result", tests, NULL, NULL);
}
