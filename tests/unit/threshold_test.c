#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs some of those above */
#include <cmocka.h>
#include <math.h>

#include "lib/stats/percentile_interval.h"
#include "client/plan/threshold.h"
#include "client/result/result.h"
#include "client/result/verdict.h"

static struct threshold
parse(const char *text)
{
	char error[RESULT_ERROR_MAX] = "";
	struct threshold threshold;

	if (threshold_parse(text, &threshold, error, sizeof(error)) < 0)
		fail_msg("%s", error);
	return threshold;
}

static struct threshold_outcome
check(const char *text, const struct result *result)
{
	struct threshold threshold = parse(text);

	return verdict_of_threshold(&threshold, result);
}

/* 1,000 messages of 1 to 1,000 us, two of them lost, at 12,345 per second. */
static struct result
sample(void)
{
	struct result result;

	result_init(&result);
	for (uint64_t v = 1; v <= 998; v++)
		histogram_record(result.latency[LATENCY_RESPONSE], v * 1000);
	histogram_record(result.latency[LATENCY_CONNECT], 5000);
	result.messages.sent = 1000;
	result.messages.verified = 998;
	result.messages.lost[MESSAGE_LOSS_RESET] = 2;
	result.messages_per_s = 12345;
	result.connections.first = 10;
	result.hold.connections = 3;
	return result;
}

static void
a_percentile_may_omit_its_decimal_point(void **state)
{
	(void)state;
	assert_true(parse("p99.9<5ms").percentile == parse("p999<5ms").percentile);
	assert_true(parse("p9999<5ms").percentile > 99.98);
	assert_true(parse("p9999<5ms").percentile < 100);
	assert_true(parse("p50<1s").percentile == 50);
	assert_true(parse("p5<1s").percentile == 5);
	assert_true(parse("p100<1s").percentile == 100);
	assert_true(parse("p99<1500us").limit == 1.5e6);
	assert_true(parse("rate>10k/s").limit == 10000);
	assert_int_equal(parse("service.p99<=1ms").histogram, LATENCY_SERVICE);
	assert_string_equal(parse("p99[login]<20ms").step, "login");
	assert_int_equal(parse("max[login]<20ms").figure, THRESHOLD_MAX);
	assert_string_equal(parse("p99<20ms").step, "");
	assert_int_equal(parse("service.p99<=1ms").op, THRESHOLD_LE);
}

static void
each_figure_is_judged_in_its_own_unit(void **state)
{
	static const struct {
		const char *text;
		bool passed;
	} cases[] = {
		{ "p99<1ms", true },
		{ "p99<900us", false },
		{ "connect.max<=5us", true },
		{ "connect.max<5us", false },
		{ "min>=1us", true },
		{ "mean<501us", true },
		{ "mean>501us", false },
		{ "stddev<300us", true },
		{ "connect.max<1ms", true },
		{ "connect.max<4us", false },
		{ "lost<=2", true },
		{ "lost<2", false },
		{ "lost<=0.2%", true },
		{ "lost<0.1%", false },
		{ "wrong<=0", true },
		{ "failed<1", true },
		{ "dark<=3", true },
		{ "dark<=0", false },
		{ "dark<30%", false },
		{ "rate>12k", true },
		{ "rate>=12346", false },
	};
	struct result result = sample();

	(void)state;
	result.plan.hold_ns = 1;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (check(cases[i].text, &result).passed != cases[i].passed)
			fail_msg("%s", cases[i].text);
	result_finish(&result);
}

/* 1,000 messages of which 2 were lost with a connection, and a failed attempt. */
static void
a_budget_that_passes_replaces_the_exit_status_of_a_loss(void **state)
{
	static const struct {
		const char *text[2];
		int status;
	} cases[] = {
		{ { "p99<5ms", "p99<5ms" }, 1 },
		{ { "lost<1%", "p99<5ms" }, 1 }, /* the attempt failed */
		{ { "lost<1%", "failed<=1" }, 0 },
		{ { "failed<50%", "lost<=2" }, 0 },
		{ { "failed<50%", "p99<5ms" }, 1 },
		{ { "failed<=1", "lost<=1" }, 1 },
		{ { "failed<=1", "lost>1" }, 1 }, /* not an upper limit */
		{ { "failed<=1", "lost<0.1%" }, 1 },
	};
	struct result result = sample();
	struct threshold_outcome outcomes[2];

	(void)state;
	result.connections.requested = result.connections.first = 2;
	result.connections.attempted = 4;
	result.connections.lost = 1;
	result.connections.failed[CONNECT_FAILURE_REFUSED] = 1;
	result.plan.duration_ns = 1;
	result.thresholds = outcomes;
	result.threshold_count = 2;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (int t = 0; t < 2; t++)
			outcomes[t] = check(cases[i].text[t], &result);
		if (verdict_exit_status(&result) != cases[i].status)
			fail_msg("%s %s: %d", cases[i].text[0], cases[i].text[1],
			    verdict_exit_status(&result));
	}
	/* Messages of the warm-up count too. */
	outcomes[0] = check("lost<=2", &result);
	outcomes[1] = check("failed<=1", &result);
	assert_int_equal(verdict_exit_status(&result), 0);
	result.warmup.sent = result.warmup.lost[MESSAGE_LOSS_RESET] = 1;
	assert_int_equal(verdict_exit_status(&result), 1);
	/* Without a duration each socket that connects sends all its messages. */
	result.warmup.sent = result.warmup.lost[MESSAGE_LOSS_RESET] = 0;
	result.plan.duration_ns = 0;
	result.plan.messages = 1000;
	result.plan.rank_connections = 2;
	result.connections.first = 1;
	assert_int_equal(verdict_exit_status(&result), 0);
	result.plan.messages = 1001;
	assert_int_equal(verdict_exit_status(&result), 1);
	result.thresholds = NULL;
	result.threshold_count = 0;
	result_finish(&result);
}

static void
wrong_and_failed_are_counts_or_percentages(void **state)
{
	static const struct {
		const char *text;
		bool passed;
	} cases[] = {
		{ "wrong<=5", true },
		{ "wrong<5", false },
		{ "wrong<0.6%", true },
		{ "wrong<0.4%", false },
		{ "failed<=4", true },
		{ "failed<4", false },
		{ "failed<0.5%", true },
		{ "failed<0.3%", false },
		{ "rate>12345", false },
		{ "rate>=12345", true },
	};
	struct result result = sample();

	(void)state;
	result.messages.wrong = 5;
	result.messages.verified = 500;
	result.connections.requested = 500;
	result.connections.attempted = 1000;
	result.connections.failed[CONNECT_FAILURE_REFUSED] = 1;
	result.connections.failed[CONNECT_FAILURE_TIMEOUT] = 3;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (check(cases[i].text, &result).passed != cases[i].passed)
			fail_msg("%s", cases[i].text);
	result_finish(&result);
}

static void
a_latency_threshold_without_values_fails(void **state)
{
	struct result result = sample();

	(void)state;
	assert_false(check("service.p99<1h", &result).passed);
	assert_false(check("service.max<1h", &result).known);
	assert_false(check("service.p99<1h", &result).known);
	assert_true(check("connect.p100<1h", &result).known);
	result_finish(&result);
}

/* p99 ignores 10 lost messages of 1,000, but not 11. */
static void
lost_messages_count_as_infinitely_late(void **state)
{
	struct result result = sample();
	struct threshold_outcome outcome;
	char buffer[THRESHOLD_TEXT_MAX];

	(void)state;
	result.messages.lost[MESSAGE_LOSS_RESET] = 0;
	assert_true(check("max<=998us", &result).passed);
	assert_false(check("max<998us", &result).passed);
	histogram_reset(result.latency[LATENCY_RESPONSE]);
	histogram_record_many(result.latency[LATENCY_RESPONSE], 5000, 990);
	result.messages.lost[MESSAGE_LOSS_RESET] = 4;
	result.messages.lost[MESSAGE_LOSS_TIMEOUT] = 6;
	assert_true(check("p99<=5us", &result).passed);
	assert_false(check("max<1h", &result).passed);
	result.messages.lost[MESSAGE_LOSS_TIMEOUT] = 7;
	outcome = check("p99<1h", &result);
	assert_false(outcome.passed);
	assert_true(outcome.known);
	histogram_record_many(result.latency[LATENCY_SERVICE], 5000, 990);
	assert_false(check("service.p99<1h", &result).passed);
	assert_false(check("service.max<1h", &result).passed);
	assert_string_equal(threshold_describe(&outcome, buffer),
	    "some messages got no answer (counted as infinitely late)");
	assert_true(check("p90<=5us", &result).passed);
	assert_true(check("p99>1h", &result).passed);
	/* Messages that were due but not sent count in response only. */
	result.messages.lost[MESSAGE_LOSS_RESET] = 0;
	result.messages.lost[MESSAGE_LOSS_TIMEOUT] = 0;
	result.messages.sent = 990;
	result.messages_due = 1001;
	assert_false(check("p99<1h", &result).passed);
	assert_true(check("service.p99<1h", &result).passed);
	result.interrupted = true;
	assert_true(check("p99<1h", &result).passed);
	/* Connections that failed are not in the connect latency. */
	assert_true(check("connect.max<1h", &result).passed);
	result_finish(&result);
}

static void
rejects_a_malformed_threshold_with_the_expected_format(void **state)
{
	static const struct {
		const char *text, *expected;
	} bad[] = {
		{ "p99", "expected METRIC<LIMIT" },
		{ "p99<1ns", "found \"1ns\", expected a duration" },
		{ "p50<=0us",
		    "found \"0us\", which no run can meet; expected at least 0.1us" },
		{ "connect.max<0ms", "which no run can meet; expected at least 0.1us" },
		{ "lost<0", "found \"0\", which no run can meet; expected <= or more" },
		{ "wrong<0%", "found \"0%\", which no run can meet" },
		{ "", "expected METRIC<LIMIT" },
		{ "p1.2.3<1ms", "found metric \"p1.2.3\"" },
		{ "p1000<1ms", "found metric \"p1000\"" },
		{ "p<1ms", "found metric \"p\"" },
		{ "median<1ms", "found metric \"median\"" },
		{ "service.lost<1", "found metric \"service.lost\"" },
		{ "p99<5", "found \"5\", expected a duration" },
		{ "p99<", "found \"\", expected a duration" },
		{ "rate>5ms", "found \"5ms\", expected messages per second" },
		{ "lost<-1%", "found \"-1%\", expected a count or a percentage" },
		{ "lost<200%", "found \"200%\", expected a count or a percentage" },
		{ "lost==0", "expected METRIC<LIMIT" },
	};
	char error[RESULT_ERROR_MAX], start[THRESHOLD_TEXT_MAX];
	struct threshold threshold;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(
		    threshold_parse(bad[i].text, &threshold, error, sizeof(error)), -1);
		snprintf(start, sizeof(start), "\"%s\": ", bad[i].text);
		if (strstr(error, bad[i].expected) == NULL ||
		    strncmp(error, start, strlen(start)) != 0)
			fail_msg("%s: %s", bad[i].text, error);
	}
}

static void
a_value_is_shown_in_the_unit_of_its_limit(void **state)
{
	struct threshold lost = parse("lost<1%"), rate = parse("rate>1k");
	char buffer[THRESHOLD_TEXT_MAX];

	(void)state;
	assert_string_equal(threshold_format(&lost, 0.0025, buffer), "0.25%");
	assert_string_equal(threshold_format(&rate, 12345, buffer), "12,345/s");
}

static void
a_percentile_needs_both_ranks_in_the_sample(void **state)
{
	struct result result = sample();
	struct histogram *h = result.latency[LATENCY_RESPONSE];
	struct percentile_interval c = percentile_interval_of(h, 99, NULL, 0);
	struct precision fewer = { 300, 20 }, short_run = { 0 };

	(void)state;
	/* 998 values: ranks 988.02 - 0.46 -+ 6.16, so the 982nd and the 994th. */
	assert_true(c.known && c.has_interval);
	assert_true(c.low == histogram_lowest_equivalent(h, 982000));
	assert_true(c.high == histogram_highest_equivalent(h, 994000));
	assert_false(percentile_interval_of(h, 99.9, NULL, 0).known);
	assert_true(percentile_interval_of(h, 99.9, NULL, 0).value > 990000);
	assert_false(percentile_interval_of(h, 99, &fewer, 0).known);
	c = percentile_interval_of(h, 50, &fewer, 0);
	assert_true(c.high > percentile_interval_of(h, 50, NULL, 0).high);
	/* The lower percentiles are worth less. */
	assert_false(percentile_interval_of(h, 90, &fewer, 40).known);
	assert_true(percentile_interval_of(h, 90, &fewer, 60).known);
	/* Nothing is known about how alike the values are. */
	c = percentile_interval_of(h, 50, &short_run, 0);
	assert_true(c.known && !c.has_interval && c.low == c.value);
	assert_false(
	    percentile_interval_of(result.latency[LATENCY_SERVICE], 50, NULL, 0).known);
	result_finish(&result);
}

static void
alike_values_leave_a_threshold_undecided(void **state)
{
	struct result result = sample();

	(void)state;
	assert_true(check("p99<1h", &result).known);
	for (size_t i = 0; i < RESULT_PERCENTILES; i++)
		result.precision[LATENCY_RESPONSE].percentiles[i] =
		    (struct precision){ 20, 19 };
	assert_false(check("p99<995us", &result).known);
	/* Each of them keeps this limit, but for the two that were lost. */
	assert_false(check("p99<1h", &result).known);
	result.messages.lost[MESSAGE_LOSS_RESET] = 0;
	assert_true(check("p99<1h", &result).known);
	assert_false(check("p99>1us", &result).known);
	/* The precision of response does not apply to connects. */
	histogram_record_many(result.latency[LATENCY_CONNECT], 5000, 998);
	assert_true(check("connect.p99<1h", &result).known);
	result_finish(&result);
}

static void
a_threshold_needs_the_samples_of_its_percentile_and_at_least_30(void **state)
{
	struct threshold p99 = parse("p99<1s"), p50 = parse("p50<1s");
	struct threshold max = parse("max<1s");

	(void)state;
	assert_true(threshold_count_min(&p99) == 381);
	assert_true(threshold_count_min(&p50) == 30);
	assert_true(threshold_count_min(&max) == 30);
}

static void
a_percentile_is_known_from_its_minimum_number_of_samples(void **state)
{
	static const double percentiles[] = { 0.5, 10, 50, 75, 90, 99, 99.9, 99.99 };

	(void)state;
	assert_true(percentile_interval_count_min(99) == 381);
	assert_true(percentile_interval_count_min(100) == 0 &&
	    percentile_interval_count_min(0) == 0);
	assert_true(percentile_interval_count_min(1e-20) == UINT64_MAX);
	for (size_t i = 0; i < sizeof(percentiles) / sizeof(percentiles[0]); i++) {
		struct result result = { .interrupted = false };
		uint64_t needed = percentile_interval_count_min(percentiles[i]);
		result_init(&result);
		struct histogram *h = result.latency[LATENCY_RESPONSE];

		histogram_record_many(h, 1000, needed - 1);
		assert_false(percentile_interval_of(h, percentiles[i], NULL, 0).known);
		histogram_record(h, 1000);
		assert_true(percentile_interval_of(h, percentiles[i], NULL, 0).known);
		result_finish(&result);
	}
}

static bool
is_certain_failure(const char *text, const struct result *result)
{
	struct threshold threshold = parse(text);

	assert_false(verdict_of_threshold(&threshold, result).passed);
	return verdict_is_certain_failure(&threshold, result);
}

/* A client that was stopped for 150 ms sent 12 of 30 messages in one burst, on which
 * the server spent 15 ms. */
static void
a_delay_of_the_client_may_be_the_cause_of_a_failure(void **state)
{
	struct result result;

	(void)state;
	result_init(&result);
	for (uint64_t i = 0; i < 12; i++)
		histogram_record(
		    result.latency[LATENCY_RESPONSE], (165 - 12 * i) * 1000000);
	histogram_record_many(result.latency[LATENCY_SERVICE], 15000000, 12);
	assert_false(is_certain_failure("p50<5ms", &result)); /* delay not known */
	result.client_delay_max_ns = 150000000;
	assert_false(is_certain_failure("p50<5ms", &result));
	assert_false(is_certain_failure("service.p50<5ms", &result));
	assert_false(is_certain_failure("max<20ms", &result));
	assert_false(is_certain_failure("mean<5ms", &result));
	assert_false(is_certain_failure("min<5ms", &result));
	/* The server alone took longer, of whatever the client did. */
	assert_true(is_certain_failure("max<10ms", &result));
	result.client_delay_max_ns = 20000000;
	assert_true(is_certain_failure("p50<5ms", &result));
	assert_true(is_certain_failure("p50>1s", &result));
	assert_false(is_certain_failure("stddev<1ms", &result));
	/* Messages that were not sent, and figures that the delay is no part of. */
	result.messages_due = 30;
	assert_false(is_certain_failure("p50<120ms", &result));
	assert_false(is_certain_failure("connect.p50<5ms", &result));
	assert_false(is_certain_failure("rate>5", &result));
	result_finish(&result);
}

static void
add_step(struct result *result, double rate, const char *outcome)
{
	size_t n = result->search_step_count++;

	result->search_steps =
	    reallocarray(result->search_steps, n + 1, sizeof(result->search_steps[0]));
	assert_non_null(result->search_steps);
	result->search_steps[n] = (struct result_search_step){
		.rate = rate, .outcome = strdup(outcome), .verdict = strdup("valid")
	};
}

/* The result has lost messages, and no threshold failed. */
static void
a_search_without_a_rate_has_an_exit_status_of_its_own(void **state)
{
	struct result result = sample();

	(void)state;
	result.connections.requested = result.connections.first = 2;
	result.connections.attempted = result.connections.established = 2;
	result.plan.duration_ns = 1;
	result.plan.rate = 100;
	assert_int_equal(verdict_exit_status(&result), 1);
	add_step(&result, 100, "unknown");
	assert_int_equal(verdict_exit_status(&result), 3);
	add_step(&result, 200, "failed");
	assert_int_equal(verdict_exit_status(&result), 99);
	result.interrupted = true;
	assert_int_equal(verdict_exit_status(&result), 1);
	result.interrupted = false;
	result.connections.established = 0;
	assert_int_equal(verdict_exit_status(&result), 1);
	result.connections.established = 2;
	result.messages.wrong = 1;
	assert_int_equal(verdict_exit_status(&result), 2);
	result.messages.wrong = 0;
	/* The repetitions overturned it. */
	add_step(&result, 100, "passed");
	add_step(&result, 100, "failed");
	add_step(&result, 100, "failed");
	assert_int_equal(verdict_exit_status(&result), 99);
	/* The best rate passed: the result is judged as any other. */
	add_step(&result, 100, "passed");
	add_step(&result, 100, "passed");
	result.messages.verified = 1000;
	result.messages.lost[MESSAGE_LOSS_RESET] = 0;
	assert_int_equal(verdict_exit_status(&result), 0);
	result.messages.verified = 999;
	result.messages.lost[MESSAGE_LOSS_RESET] = 1;
	assert_int_equal(verdict_exit_status(&result), 1);
	result_finish(&result);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_percentile_may_omit_its_decimal_point),
		cmocka_unit_test(each_figure_is_judged_in_its_own_unit),
		cmocka_unit_test(wrong_and_failed_are_counts_or_percentages),
		cmocka_unit_test(
		    a_budget_that_passes_replaces_the_exit_status_of_a_loss),
		cmocka_unit_test(a_latency_threshold_without_values_fails),
		cmocka_unit_test(lost_messages_count_as_infinitely_late),
		cmocka_unit_test(
		    rejects_a_malformed_threshold_with_the_expected_format),
		cmocka_unit_test(a_value_is_shown_in_the_unit_of_its_limit),
		cmocka_unit_test(a_percentile_needs_both_ranks_in_the_sample),
		cmocka_unit_test(alike_values_leave_a_threshold_undecided),
		cmocka_unit_test(
		    a_threshold_needs_the_samples_of_its_percentile_and_at_least_30),
		cmocka_unit_test(
		    a_percentile_is_known_from_its_minimum_number_of_samples),
		cmocka_unit_test(a_delay_of_the_client_may_be_the_cause_of_a_failure),
		cmocka_unit_test(a_search_without_a_rate_has_an_exit_status_of_its_own),
	};

	return cmocka_run_group_tests_name("threshold", tests, NULL, NULL);
}
