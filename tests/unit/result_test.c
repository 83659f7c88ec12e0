#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs some of those above */
#include <cmocka.h>

#include "client/report_text.h"
#include "client/result.h"
#include "client/tally.h"
#include "client/trust.h"
#include "client/watch.h"

#define SECOND UINT64_C(1000000000)

/* A run of two generators that has ended: 1,000 messages each, all verified. */
struct run {
	struct plan plan;
	struct tallies tallies;
};

static void
set(tally_count *count, uint64_t number)
{
	atomic_store(count, number);
}

static void
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

static int
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

static int
tear_down(void **state)
{
	struct run *run = *state;

	tallies_close(&run->tallies);
	free(run);
	return 0;
}

static struct result
collect(struct run *run)
{
	struct result result;

	assert_int_equal(
	    result_collect(&run->plan, &run->tallies, NULL, NULL, &result), 0);
	return result;
}

static char *
json_of(const struct result *result)
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	assert_non_null(file);
	assert_int_equal(result_write_json(result, file), 0);
	assert_int_equal(fclose(file), 0);
	return text;
}

static struct result
read_back(char *text)
{
	char error[RESULT_ERROR_MAX] = "";
	FILE *file = fmemopen(text, strlen(text), "r");
	struct result result;

	assert_non_null(file);
	if (result_read_json(file, &result, error) != 0)
		fail_msg("%s", error);
	fclose(file);
	return result;
}

static void
what_the_generators_counted_is_added_up(void **state)
{
	struct result result = collect(*state);

	assert_true(result.messages.sent == 2000 && result.messages.verified == 2000);
	assert_true(result_adds_up(&result.messages));
	assert_true(result.connections.requested == 10);
	assert_true(result.bytes_sent == 128000);
	assert_true(histogram_count(result.latency[TALLY_RESPONSE]) == 2000);
	assert_true(histogram_max(result.latency[TALLY_RESPONSE]) == 1000000);
	assert_true(result.elapsed_s > 1.99 && result.elapsed_s < 2.01);
	assert_true(result.messages_per_s > 995 && result.messages_per_s < 1005);
	assert_int_equal(result.process_count, 2);
	/* Half a second in the two of the load: the drain of another one is idle. */
	assert_true(result.processes[0].cpu_share > 0.24);
	assert_true(result.processes[0].cpu_share < 0.26);
	assert_int_equal(result_exit_status(&result), 0);
	assert_int_equal(result.trust.verdict, RESULT_VALID);
	result_finish(&result);
}

static void
the_patience_for_what_was_lost_is_no_part_of_the_time(void **state)
{
	struct run *run = *state;
	struct tally *tally = tallies_at(&run->tallies, 1);
	struct result result;

	/* It stopped when its last message had timed out. */
	set(&tally->stopped_ns, 15 * SECOND);
	set(&tally->messages.verified, 999);
	set(&tally->messages.lost[TALLY_LOST_TIMEOUT], 1);
	result = collect(run);
	assert_true(result.elapsed_s == 2);
	result_finish(&result);
	/* One that died did not stop. */
	set(&tally->stopped_ns, 0);
	set(&tally->finished_ns, 0);
	atomic_store(&tally->phase, TALLY_DIED);
	result = collect(run);
	assert_true(result.elapsed_s == 2);
	result_finish(&result);
	/* A run with an end in time lasts as long. */
	run->plan.duration_ns = 4 * SECOND;
	set(&tally->stopped_ns, 9 * SECOND);
	result = collect(run);
	assert_true(result.elapsed_s == 4);
	result_finish(&result);
}

static void
the_worst_of_all_outcomes_is_the_exit_status(void **state)
{
	struct run *run = *state;
	struct tally *tally = tallies_at(&run->tallies, 1);
	static const char *items[] = { "p99<1us" };
	struct result result;

	run->plan.strict = true;
	atomic_store(&tally->phase, TALLY_DIED);
	result = collect(run);
	assert_int_equal(result.trust.verdict, RESULT_INVALID);
	assert_int_equal(result_exit_status(&result), 3);
	result_finish(&result);

	run->plan.thresholds.items = items;
	run->plan.thresholds.count = 1;
	result = collect(run);
	assert_int_equal(result_exit_status(&result), 99);
	result_finish(&result);

	set(&tally->messages.verified, 998);
	set(&tally->messages.lost[TALLY_LOST_RESET], 2);
	result = collect(run);
	assert_int_equal(result_exit_status(&result), 1);
	result_finish(&result);

	set(&tally->messages.verified, 997);
	set(&tally->messages.wrong, 1);
	result = collect(run);
	assert_int_equal(result_exit_status(&result), 2);
	result_finish(&result);
}

static void
an_equation_that_does_not_hold_is_no_success(void **state)
{
	struct run *run = *state;
	struct result result;

	set(&tallies_at(&run->tallies, 0)->messages.sent, 1001);
	result = collect(run);
	assert_false(result_adds_up(&result.messages));
	assert_int_equal(result_exit_status(&result), 1);
	assert_int_equal(result.trust.verdict, RESULT_INVALID);
	result_finish(&result);
}

static void
a_connection_that_was_never_established_is_no_success(void **state)
{
	struct run *run = *state;
	struct tally *tally = tallies_at(&run->tallies, 0);
	struct result result;

	set(&tally->connections_established, 4);
	set(&tally->connections_first, 4);
	set(&tally->connections_failed[TALLY_CONNECT_REFUSED], 1);
	result = collect(run);
	assert_int_equal(result_exit_status(&result), 1);
	result_finish(&result);
}

static void
a_mismatch_is_kept_with_its_windows(void **state)
{
	struct run *run = *state;
	struct tally *tally = tallies_at(&run->tallies, 0);
	struct result result, back;
	char *text;

	tally->mismatch[0] = (struct tally_mismatch){ .connection = 3,
		.message = 2,
		.offset = 41,
		.expected_length = 3,
		.got_length = 0,
		.expected = { 0x00, 0xff, 0x41 },
		.looks_like = "a gap" };
	atomic_store(&tally->mismatches, 1);
	result = collect(run);
	assert_int_equal(result_exit_status(&result), 2);
	text = json_of(&result);
	assert_non_null(strstr(text, "\"expected\": \"00ff41\""));
	back = read_back(text);
	assert_int_equal(back.mismatch_count, 1);
	assert_memory_equal(
	    back.mismatches, result.mismatches, sizeof(back.mismatches[0]));
	free(text);
	result_finish(&result);
	result_finish(&back);
}

static void
a_result_comes_back_from_its_json_unchanged(void **state)
{
	struct run *run = *state;
	static const char *items[] = { "p99<5ms", "lost<=0.1%" };
	struct result result, back;
	char *first, *second;

	run->plan.thresholds.items = items;
	run->plan.thresholds.count = 2;
	run->plan.seed = UINT64_MAX - 1;
	result = collect(run);
	result.second_count = 1;
	result.seconds = calloc(1, sizeof(result.seconds[0]));
	assert_non_null(result.seconds);
	result.seconds[0].p50_ns = UINT64_MAX;
	result.seconds[0].length_s = 0.25;
	result.ledger = strdup("{\"a\":[1,2]}");
	first = json_of(&result);
	back = read_back(first);
	second = json_of(&back);
	assert_string_equal(first, second);
	assert_true(histogram_max(back.latency[TALLY_RESPONSE]) == 1000000);
	assert_true(back.started_at_ns == result.started_at_ns);
	assert_true(back.plan.seed == UINT64_MAX - 1);
	assert_non_null(
	    strstr(first, "\"started_at\": \"2023-11-14T22:13:20.123456789Z\""));
	free(first);
	free(second);
	result_finish(&result);
	result_finish(&back);
}

static void
what_is_not_a_result_is_refused_by_line_or_path(void **state)
{
	static const struct {
		const char *text, *error;
	} bad[] = {
		{ "", "line 1, column 0: '[' or '{' expected near end of file" },
		{ "{\n\"a\": }", "line 2, column 6: unexpected token near '}'" },
		{ "[]", "schema: found \"nothing\", wanted \"yodel.result/1\"" },
		{ "{\"schema\": \"yodel.result/9\"}",
		    "schema: found \"yodel.result/9\", wanted \"yodel.result/1\"" },
		{ "{\"schema\": \"yodel.result/1\"}", "latency: not found" },
		{ "{\"schema\": \"yodel.result/1\", \"latency\": {}, \"plan\": "
		  "{\"targets\": [], \"connections\": \"2\"}}",
		    "plan.connections: wanted a whole number" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char error[RESULT_ERROR_MAX] = "";
		char *copy = strdup(*bad[i].text != '\0' ? bad[i].text : " ");
		FILE *file = fmemopen(copy, strlen(copy), "r");
		struct result result;

		assert_non_null(file);
		assert_int_equal(result_read_json(file, &result, error), -1);
		if (i > 0)
			assert_string_equal(error, bad[i].error);
		fclose(file);
		free(copy);
	}
}

static void
a_reader_of_the_report_sees_the_equation_and_what_is_not_known(void **state)
{
	struct run *run = *state;
	struct tally *tally = tallies_at(&run->tallies, 0);
	struct result result;
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	set(&tally->messages.verified, 990);
	set(&tally->messages.lost[TALLY_LOST_TIMEOUT], 10);
	result = collect(run);
	report_text(&result, file);
	fclose(file);
	assert_non_null(strstr(text,
	    "2,000 sent = 1,990 verified + 0 wrong + 10 lost + "
	    "0 in flight"));
	assert_non_null(strstr(text, "10 timeout"));
	assert_non_null(strstr(text, "?: too few values to know"));
	assert_non_null(strstr(text, "FAILED: 10 of 2,000 messages were not answered"));
	free(text);
	result_finish(&result);
}

static void
seconds_that_differ_more_than_chance_allows_are_worth_fewer_values(void **state)
{
	struct result result = collect(*state);
	double all = result_effective_count(&result);

	assert_true(all == 2000);
	result.second_count = 20;
	result.seconds = calloc(20, sizeof(result.seconds[0]));
	assert_non_null(result.seconds);
	for (size_t i = 0; i < 20; i++) {
		result.seconds[i].count = 100;
		result.seconds[i].mean_ns = i % 2 == 0 ? 490000 : 511000;
	}
	assert_true(result_effective_count(&result) == 2000);
	for (size_t i = 0; i < 20; i++)
		result.seconds[i].mean_ns = i < 10 ? 250000 : 750000;
	assert_true(result_effective_count(&result) < 100);
	assert_true(result_effective_count(&result) >= 20);
	result_finish(&result);
}

static void
each_second_holds_what_came_since_the_last(void **state)
{
	struct run *run = *state;
	struct tally *tally = tallies_at(&run->tallies, 0);
	struct watch watch;

	assert_int_equal(watch_start(&watch, &run->plan, &run->tallies), 0);
	assert_false(watch_tick(&watch, 5 * SECOND + SECOND / 2));
	assert_true(watch_tick(&watch, 6 * SECOND));
	set(&tally->messages.sent, 1007);
	histogram_record_many(tally->histograms[TALLY_RESPONSE], 77000, 7);
	assert_false(watch_tick(&watch, 7 * SECOND - 1));
	assert_true(watch_tick(&watch, 7 * SECOND));
	watch_stop(&watch, 7 * SECOND + SECOND / 2);
	assert_int_equal(watch.count, 3);
	assert_true(watch.rows[0].sent == 2000 && watch.rows[0].count == 2000);
	assert_true(watch.rows[1].sent == 7 && watch.rows[1].count == 7);
	assert_true(watch.rows[1].p50_ns / 1000 == 77);
	assert_true(watch.rows[2].sent == 0 && watch.rows[2].length_s == 0.5);
	assert_int_equal(watch_finish(&watch), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define RUN(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		RUN(what_the_generators_counted_is_added_up),
		RUN(the_patience_for_what_was_lost_is_no_part_of_the_time),
		RUN(the_worst_of_all_outcomes_is_the_exit_status),
		RUN(an_equation_that_does_not_hold_is_no_success),
		RUN(a_connection_that_was_never_established_is_no_success),
		RUN(a_mismatch_is_kept_with_its_windows),
		RUN(a_result_comes_back_from_its_json_unchanged),
		RUN(what_is_not_a_result_is_refused_by_line_or_path),
		RUN(a_reader_of_the_report_sees_the_equation_and_what_is_not_known),
		RUN(seconds_that_differ_more_than_chance_allows_are_worth_fewer_values),
		RUN(each_second_holds_what_came_since_the_last),
#undef RUN
	};

	return cmocka_run_group_tests_name("result", tests, NULL, NULL);
}
