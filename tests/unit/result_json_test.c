#include <stdio.h>

#include "client/report/report_connections.h"
#include "client/report/report_summary.h"
#include "tests/lib/finished_run_fixture.h"

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
	if (result_read_json(file, &result, error) < 0)
		fail_msg("%s", error);
	fclose(file);
	return result;
}

static void
stores_the_latencies_of_named_steps(void **state)
{
	static const char text[] = "C [login]: a\nS: b\nC [query]: c\nS: d\n";
	struct run *run = *state;
	struct threshold threshold;
	char error[RESULT_ERROR_MAX], *json;

	assert_int_equal(conversation_compile("x.talk", text, strlen(text),
			     &run->plan.conversation, error),
	    0);
	run->plan.conversation_file = "x.talk";
	counters_map_close(&run->counters_map);
	assert_int_equal(counters_map_open(&run->counters_map, 2, 2), 0);
	for (int i = 0; i < 2; i++)
		histogram_record(counters_map_at(&run->counters_map, i)
				     ->histograms[LATENCY_STEP_FIRST + 1],
		    5000000);
	struct result result = collect(run), back, other;
	json = json_of(&result);
	back = read_back(json);
	other = read_back(json);
	assert_string_equal(back.plan.conversation, "x.talk");
	assert_int_equal(back.step_count, 2);
	assert_string_equal(back.steps[1], "query");
	assert_int_equal(histogram_count(back.latency[LATENCY_STEP_FIRST]), 0);
	assert_int_equal(histogram_count(back.latency[LATENCY_STEP_FIRST + 1]), 2);
	assert_int_equal(
	    threshold_parse("max[query]<4ms", &threshold, error, sizeof(error)), 0);
	assert_false(verdict_of_threshold(&threshold, &back).passed);
	assert_int_equal(
	    threshold_parse("max[query]<6ms", &threshold, error, sizeof(error)), 0);
	assert_true(verdict_of_threshold(&threshold, &back).passed);
	assert_int_equal(
	    threshold_parse("max[none]<6ms", &threshold, error, sizeof(error)), 0);
	assert_false(verdict_of_threshold(&threshold, &back).passed);
	other.started_at_ns++; /* another run */
	assert_int_equal(result_merge(&back, &other, error), 0);
	assert_int_equal(histogram_count(back.latency[LATENCY_STEP_FIRST + 1]), 4);
	other.steps[0][0] = 'x';
	assert_int_equal(result_merge(&back, &other, error), -1);
	free(json);
	result_finish(&result);
	result_finish(&back);
	result_finish(&other);
	conversation_finish(&run->plan.conversation);
}

/* Of 2,000 passes 1,990 are verified. Four of the ten lost ones were lost before the
 * answer to the first step, all before that to the second. */
static void
lost_passes_are_infinitely_late_in_their_steps(void **state)
{
	static const char text[] =
	    "C [hello]: x\nS: y\n--- repeat\nC [first]: a\nS: b\nC [second]: c\nS: d\n";
	static const char *const thresholds[] = { "p99[first]<2ms", "p99.9[first]<2ms",
		"p99[second]<2ms", "max[second]<2ms", "max[hello]<2ms" };
	static const bool passes[] = { true, false, true, false, true };
	struct run *run = *state;
	struct threshold threshold;
	char error[CONVERSATION_ERROR_MAX] = "", *json;

	if (conversation_compile(
		"x.talk", text, strlen(text), &run->plan.conversation, error) != 0)
		fail_msg("%s", error);
	run->plan.conversation_file = "x.talk";
	counters_map_close(&run->counters_map);
	assert_int_equal(counters_map_open(&run->counters_map, 1, 3), 0);
	struct counters *counters = counters_map_at(&run->counters_map, 0);
	set(&counters->messages.sent, 2000);
	set(&counters->messages.verified, 1990);
	set(&counters->messages.lost[0], 10);
	histogram_record_many(counters->histograms[LATENCY_STEP_FIRST], 1000000, 5);
	histogram_record_many(
	    counters->histograms[LATENCY_STEP_FIRST + 1], 1000000, 1996);
	histogram_record_many(
	    counters->histograms[LATENCY_STEP_FIRST + 2], 1000000, 1990);
	struct result result = collect(run), back, other;
	assert_true(result.step_lost[0] == 0 && result.step_lost[1] == 4 &&
	    result.step_lost[2] == 10);
	json = json_of(&result);
	back = read_back(json);
	other = read_back(json);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(
		    threshold_parse(thresholds[i], &threshold, error, sizeof(error)),
		    0);
		if ((verdict_of_threshold(&threshold, &back).value < 2e6) != passes[i])
			fail_msg("%s", thresholds[i]);
	}
	other.started_at_ns++; /* another run */
	assert_int_equal(result_merge(&back, &other, error), 0);
	assert_true(back.step_lost[2] == 20);
	free(json);
	result_finish(&result);
	result_finish(&back);
	result_finish(&other);
	conversation_finish(&run->plan.conversation);
}

static void
stores_a_mismatch_with_its_excerpts(void **state)
{
	struct run *run = *state;
	struct counters *counters = counters_map_at(&run->counters_map, 0);
	struct result result, back;
	char *text;

	counters->mismatch[0] = (struct counters_mismatch){ .connection = 3,
		.message = 2,
		.offset = 41,
		.expected_length = 3,
		.got_length = 0,
		.expected = { 0x00, 0xff, 0x41 },
		.looks_like = "a gap",
		.at = "2026-01-02T03:04:05.678Z",
		.local = "10.0.0.1:40000" };
	atomic_store(&counters->mismatches, 1);
	result = collect(run);
	assert_int_equal(verdict_exit_status(&result), 2);
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
stores_the_latency_of_each_target(void **state)
{
	struct result result = collect(*state), back;
	struct histogram *own = histogram_create(&counters_latency_config);
	char *text = json_of(&result);

	assert_non_null(own);
	back = read_back(text);
	assert_null(back.targets[0].response);
	result_finish(&back);
	free(text);
	histogram_record_many(own, 5000, 3);
	result.targets[0].response = own;
	text = json_of(&result);
	back = read_back(text);
	assert_non_null(back.targets[0].response);
	assert_int_equal(histogram_count(back.targets[0].response), 3);
	free(text);
	result_finish(&result);
	result_finish(&back);
}

static void
note(struct counters *counters, const struct counters_lost_connection *lost)
{
	uint32_t n = atomic_load(&counters->lost_connections);

	counters->lost_connection[n] = *lost;
	atomic_store(&counters->lost_connections, n + 1);
}

static void
lists_lost_connections_in_order_of_time(void **state)
{
	struct run *run = *state;
	struct result result, back;
	char *text, line[REPORT_SUMMARY_MAX];

	note(counters_map_at(&run->counters_map, 0),
	    &(struct counters_lost_connection){ .connection = 3,
		.at_ns = 7 * SECOND,
		.why = MESSAGE_LOSS_TIMEOUT,
		.messages = 8,
		.message = 16,
		.answer_bytes = 2,
		.answer_length = 64,
		.unacknowledged = 512,
		.waited_ns = SECOND,
		.silent_ns = 4 * SECOND,
		.local = "10.0.0.1:40000",
		.remote = "10.0.0.2:80" });
	note(counters_map_at(&run->counters_map, 1),
	    &(struct counters_lost_connection){ .connection = 5,
		.at_ns = 6 * SECOND,
		.why = MESSAGE_LOSS_CLOSED,
		.silent_ns = SECOND,
		.local = "10.0.0.1:40001",
		.remote = "10.0.0.2:80" });
	result = collect(run);
	text = json_of(&result);
	back = read_back(text);
	assert_int_equal(back.lost_connection_count, 2);
	assert_int_equal(back.lost_connections[0].connection, 5);
	assert_string_equal(
	    report_connections_outstanding(&back.lost_connections[0], line),
	    "idle for 1 s when it was closed; nothing was outstanding");
	assert_non_null(strstr(report_connections_lost(&back.lost_connections[1], line),
	    "connection 3 (10.0.0.1:40000 to 10.0.0.2:80): timeout at "));
	assert_string_equal(
	    report_connections_outstanding(&back.lost_connections[1], line),
	    "messages 16 to 23 outstanding, the oldest for 1 s, 2 of 64 bytes of its reply received; nothing received for 4 s; no acknowledgement received for 512 bytes sent");
	/* A reset may arrive before the acknowledgement. */
	back.lost_connections[1].waited_ns = 1000000;
	assert_non_null(
	    strstr(report_connections_outstanding(&back.lost_connections[1], line),
		"512 bytes sent, not yet acknowledged"));
	free(text);
	result_finish(&result);
	result_finish(&back);
}

static void
round_trips_a_result_through_json(void **state)
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
	result.has_ledger = result.ledger.consistent = true;
	result.ledger.explained.bytes_not_read = 7;
	result.ledger.servers = calloc(1, sizeof(result.ledger.servers[0]));
	assert_non_null(result.ledger.servers);
	result.ledger.server_count = 1;
	result.ledger.servers[0] = (struct reconciled_server){
		.where = strdup("unix:one"),
		.instance = strdup("alpha"),
		.state = strdup("gone"),
		.at = strdup("2023-11-14T22:13:20.000Z"),
		.error = strdup("Connection refused"),
		.bytes_sent = 9,
	};
	first = json_of(&result);
	back = read_back(first);
	second = json_of(&back);
	assert_string_equal(first, second);
	assert_true(histogram_max(back.latency[LATENCY_RESPONSE]) == 1000000);
	assert_true(back.started_at_ns == result.started_at_ns);
	assert_true(back.plan.seed == UINT64_MAX - 1);
	assert_true(back.has_ledger && back.ledger.consistent);
	assert_int_equal(back.ledger.explained.bytes_not_read, 7);
	assert_string_equal(back.ledger.servers[0].where, "unix:one");
	assert_int_equal(reconcile_missing(&back.ledger), 1);
	assert_non_null(
	    strstr(first, "\"started_at\": \"2023-11-14T22:13:20.123456789Z\""));
	free(first);
	free(second);
	result_finish(&result);
	result_finish(&back);
}

static void
refuses_malformed_results_by_line_or_path(void **state)
{
	static const struct {
		const char *text, *error;
	} bad[] = {
		{ "", "line 1, column 0: '[' or '{' expected near end of file" },
		{ "{\n\"a\": }", "line 2, column 6: unexpected token near '}'" },
		{ "[]", "schema: found nothing, expected \"yodel.result/1\"" },
		{ "{\"schema\": \"yodel.result/9\"}",
		    "schema: found \"yodel.result/9\", expected \"yodel.result/1\"" },
		{ "{\"schema\": \"yodel.result/1\"}", "latency: not found" },
		{ "{\"schema\": \"yodel.result/1\", \"latency\": {}, \"plan\": {\"targets\": [], \"connections\": \"2\"}}",
		    "plan.connections: expected a whole number" },
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define RUN(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		RUN(lists_lost_connections_in_order_of_time),
		RUN(stores_the_latencies_of_named_steps),
		RUN(stores_the_latency_of_each_target),
		RUN(lost_passes_are_infinitely_late_in_their_steps),
		RUN(stores_a_mismatch_with_its_excerpts),
		RUN(round_trips_a_result_through_json),
		RUN(refuses_malformed_results_by_line_or_path),
#undef RUN
	};

	return cmocka_run_group_tests_name("result_json", tests, NULL, NULL);
}
