#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs some of those above */
#include <cmocka.h>
#include <math.h>

#include "client/noise.h"

#define US UINT64_C(1000)

/* A second in which most of 1,000 answers take `us` and the others twice as long. */
static void
add_second(struct result *result, uint64_t us)
{
	struct result_second *second = &result->seconds[result->second_count++];
	static const int both[] = { TALLY_RESPONSE, TALLY_SERVICE };

	for (size_t i = 0; i < 2; i++) {
		histogram_record_many(result->latency[both[i]], us * US, 800);
		histogram_record_many(result->latency[both[i]], 2 * us * US, 200);
	}
	*second = (struct result_second){ .length_s = 1,
		.count = 1000,
		.mean_ns = 1.2 * (double)(us * US),
		.p50_ns = us * US,
		.p90_ns = 2 * us * US,
		.p99_ns = UINT64_MAX };
}

static struct result
run_of(const uint64_t *us, size_t seconds)
{
	struct result result;

	assert_int_equal(result_init(&result), 0);
	result.seconds = calloc(seconds, sizeof(result.seconds[0]));
	assert_non_null(result.seconds);
	for (size_t i = 0; i < seconds; i++)
		add_second(&result, us[i]);
	return result;
}

static bool
are_told_apart(const struct result *a, const struct result *b,
    enum tally_histogram which, double percentile)
{
	struct noise of_a = noise_of(a), of_b = noise_of(b);
	struct confidence x = noise_interval(a, &of_a, which, percentile);
	struct confidence y = noise_interval(b, &of_b, which, percentile);

	assert_true(x.known && y.known);
	return x.high < y.low || y.high < x.low;
}

static void
the_quantiles_of_student_are_those_of_the_tables(void **state)
{
	(void)state;
	assert_true(fabs(noise_student(4) - 2.776) < 0.06);
	assert_true(fabs(noise_student(9) - 2.262) < 0.01);
	assert_true(fabs(noise_student(30) - 2.042) < 0.005);
	assert_true(fabs(noise_student(1e9) - 1.96) < 0.001);
}

/* Each value for itself, thousands of them, would tell these two apart. */
static void
runs_that_differ_as_their_own_seconds_do_are_not_told_apart(void **state)
{
	static const uint64_t one[] = { 50, 50, 90, 50, 90, 50, 50, 90, 50 };
	static const uint64_t two[] = { 90, 50, 90, 90, 50, 90, 90, 50, 90 };
	struct result a = run_of(one, 9), b = run_of(two, 9);

	(void)state;
	assert_true(histogram_percentile(a.latency[TALLY_SERVICE], 50) <
	    histogram_percentile(b.latency[TALLY_SERVICE], 50));
	assert_false(are_told_apart(&a, &b, TALLY_RESPONSE, 50));
	assert_false(are_told_apart(&a, &b, TALLY_RESPONSE, 90));
	assert_false(are_told_apart(&a, &b, TALLY_SERVICE, 50));
	assert_false(are_told_apart(&a, &b, TALLY_SERVICE, 99));
	result_finish(&a);
	result_finish(&b);
}

static void
five_percent_between_steady_runs_are_seen(void **state)
{
	static const uint64_t one[] = { 200, 201, 200, 199, 200, 200, 201, 199 };
	static const uint64_t two[] = { 210, 211, 210, 209, 210, 210, 211, 209 };
	struct result a = run_of(one, 8), b = run_of(two, 8);

	(void)state;
	assert_true(are_told_apart(&a, &b, TALLY_RESPONSE, 50));
	assert_true(are_told_apart(&a, &b, TALLY_RESPONSE, 90));
	assert_true(are_told_apart(&a, &b, TALLY_SERVICE, 50));
	result_finish(&a);
	result_finish(&b);
}

/* Ten seconds, of which each is like the one before, are no ten looks. */
static void
seconds_that_drift_are_worth_less_than_those_that_jump(void **state)
{
	static const uint64_t drift[] = { 80, 82, 84, 86, 88, 90, 92, 94, 96, 98 };
	static const uint64_t jump[] = { 80, 98, 82, 96, 84, 94, 86, 92, 88, 90 };
	struct result a = run_of(drift, 10), b = run_of(jump, 10);

	(void)state;
	assert_true(noise_of(&a).mean > 1.2 * noise_of(&b).mean);
	result_finish(&a);
	result_finish(&b);
}

static void
a_run_of_few_seconds_does_not_know_how_they_differ(void **state)
{
	static const uint64_t few[] = { 50, 50, 50, 50 };
	struct result result = run_of(few, 4);
	struct noise noise = noise_of(&result);

	(void)state;
	assert_false(noise.known);
	assert_true(isnan(noise.p50) && isnan(noise.p99));
	result_finish(&result);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_quantiles_of_student_are_those_of_the_tables),
		cmocka_unit_test(
		    runs_that_differ_as_their_own_seconds_do_are_not_told_apart),
		cmocka_unit_test(five_percent_between_steady_runs_are_seen),
		cmocka_unit_test(
		    seconds_that_drift_are_worth_less_than_those_that_jump),
		cmocka_unit_test(a_run_of_few_seconds_does_not_know_how_they_differ),
	};

	return cmocka_run_group_tests_name("noise", tests, NULL, NULL);
}
