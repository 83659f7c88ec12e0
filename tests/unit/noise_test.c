#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs some of those above */
#include <cmocka.h>
#include <math.h>

#include "client/result/noise.h"

#define US UINT64_C(1000)

/* A second of 1,000 answers; most take `us`, the others twice as long. */
static void
add_second(struct result *result, uint64_t us)
{
	struct sampler_second *second = &result->seconds[result->second_count++];
	static const int both[] = { LATENCY_RESPONSE, LATENCY_SERVICE };

	for (size_t i = 0; i < 2; i++) {
		histogram_record_many(result->latency[both[i]], us * US, 800);
		histogram_record_many(result->latency[both[i]], 2 * us * US, 200);
	}
	*second = (struct sampler_second){ .length_s = 1,
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

	result_init(&result);
	result.seconds = calloc(seconds, sizeof(result.seconds[0]));
	assert_non_null(result.seconds);
	for (size_t i = 0; i < seconds; i++)
		add_second(&result, us[i]);
	return result;
}

static bool
differ_significantly(const struct result *a, const struct result *b,
    enum latency_kind which, double percentile)
{
	struct noise of_a = noise_of(a), of_b = noise_of(b);
	struct percentile_interval x = noise_interval(a, &of_a, which, percentile);
	struct percentile_interval y = noise_interval(b, &of_b, which, percentile);

	assert_true(x.known && y.known);
	return x.high < y.low || y.high < x.low;
}

static void
the_quantiles_of_student_match_the_published_tables(void **state)
{
	(void)state;
	assert_true(fabs(noise_student(4) - 2.776) < 0.06);
	assert_true(fabs(noise_student(9) - 2.262) < 0.01);
	assert_true(fabs(noise_student(30) - 2.042) < 0.005);
	assert_true(fabs(noise_student(1e9) - 1.96) < 0.001);
}

/* Thousands of independent values would differ significantly. */
static void
runs_within_their_own_variation_do_not_differ(void **state)
{
	static const uint64_t one[] = { 50, 50, 90, 50, 90, 50, 50, 90, 50 };
	static const uint64_t two[] = { 90, 50, 90, 90, 50, 90, 90, 50, 90 };
	struct result a = run_of(one, 9), b = run_of(two, 9);

	(void)state;
	assert_true(histogram_percentile(a.latency[LATENCY_SERVICE], 50) <
	    histogram_percentile(b.latency[LATENCY_SERVICE], 50));
	assert_false(differ_significantly(&a, &b, LATENCY_RESPONSE, 50));
	assert_false(differ_significantly(&a, &b, LATENCY_RESPONSE, 90));
	assert_false(differ_significantly(&a, &b, LATENCY_SERVICE, 50));
	assert_false(differ_significantly(&a, &b, LATENCY_SERVICE, 99));
	result_finish(&a);
	result_finish(&b);
}

static void
detects_five_percent_between_steady_runs(void **state)
{
	static const uint64_t one[] = { 200, 201, 200, 199, 200, 200, 201, 199 };
	static const uint64_t two[] = { 210, 211, 210, 209, 210, 210, 211, 209 };
	struct result a = run_of(one, 8), b = run_of(two, 8);

	(void)state;
	assert_true(differ_significantly(&a, &b, LATENCY_RESPONSE, 50));
	assert_true(differ_significantly(&a, &b, LATENCY_RESPONSE, 90));
	assert_true(differ_significantly(&a, &b, LATENCY_SERVICE, 50));
	result_finish(&a);
	result_finish(&b);
}

/* Ten seconds that resemble each other are worth fewer than ten samples. */
static void
drifting_seconds_carry_less_information_than_independent_ones(void **state)
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
short_runs_have_no_noise_estimate(void **state)
{
	static const uint64_t few[] = { 50, 50, 50, 50 };
	struct result result = run_of(few, 4);
	struct noise noise = noise_of(&result);

	(void)state;
	assert_false(noise.known);
	assert_true(isnan(noise.p50) && isnan(noise.p99));
	result_finish(&result);
}

static void
needs_five_full_seconds_with_answers(void **state)
{
	static const uint64_t us[] = { 80, 82, 84, 86, 88, 90, 92 };
	struct result five = run_of(us, 5), more = run_of(us, 7);

	(void)state;
	assert_true(noise_of(&five).known);
	/* A short second, and one without an answer. */
	more.seconds[5].length_s = 0.4;
	more.seconds[6].count = 0;
	more.seconds[6].mean_ns = 0;
	assert_true(noise_of(&more).mean == noise_of(&five).mean);
	more.seconds[0].count = 0;
	assert_false(noise_of(&more).known);
	result_finish(&five);
	result_finish(&more);
}

/* The lower half of an interval, relative to the percentile. */
static double
part_below(const struct noise *noise, enum latency_kind which, double percentile,
    uint64_t service_us, uint64_t response_us)
{
	struct result result;
	struct percentile_interval c;

	result_init(&result);
	histogram_record_many(result.latency[LATENCY_SERVICE], service_us * US, 100000);
	histogram_record_many(
	    result.latency[LATENCY_RESPONSE], response_us * US, 100000);
	c = noise_interval(&result, noise, which, percentile);
	result_finish(&result);
	assert_true(c.known && c.high >= c.value);
	return ((double)c.value - (double)c.low) / (double)c.value;
}

static bool
is_about(double value, double expected)
{
	return fabs(value - expected) < 0.002;
}

static void
takes_noise_from_the_nearest_known_percentile(void **state)
{
	struct noise noise = {
		.mean = 0.5, .p50 = 0.1, .p90 = 0.2, .p99 = 0.4, .known = true
	};

	(void)state;
	assert_true(is_about(part_below(&noise, LATENCY_RESPONSE, 10, 50, 50), 0.1));
	assert_true(is_about(part_below(&noise, LATENCY_RESPONSE, 50, 50, 50), 0.1));
	assert_true(is_about(part_below(&noise, LATENCY_RESPONSE, 75, 50, 50), 0.2));
	assert_true(is_about(part_below(&noise, LATENCY_RESPONSE, 90, 50, 50), 0.2));
	assert_true(is_about(part_below(&noise, LATENCY_RESPONSE, 99, 50, 50), 0.4));
	noise.p99 = NAN;
	assert_true(is_about(part_below(&noise, LATENCY_RESPONSE, 99, 50, 50), 0.2));
	noise.p90 = NAN;
	assert_true(is_about(part_below(&noise, LATENCY_RESPONSE, 90, 50, 50), 0.5));
}

static void
response_noise_applies_to_service_time(void **state)
{
	const struct noise noise = { .p50 = 0.1, .known = true };

	(void)state;
	assert_true(is_about(part_below(&noise, LATENCY_SERVICE, 50, 100, 150), 0.15));
	assert_true(is_about(part_below(&noise, LATENCY_SERVICE, 50, 100, 900), 0.2));
	assert_true(is_about(part_below(&noise, LATENCY_SERVICE, 50, 100, 80), 0.1));
}

/* If all seconds are equal, the interval by order statistics remains. */
static void
an_interval_is_never_narrower_than_by_order_statistics(void **state)
{
	const struct noise none = { .known = true }, unknown = { .p50 = 1 };
	struct percentile_interval plain, c;
	struct result result;

	(void)state;
	result_init(&result);
	for (uint64_t v = 1; v <= 1000; v++)
		histogram_record(result.latency[LATENCY_SERVICE], v * US);
	plain = percentile_interval_of(result.latency[LATENCY_SERVICE], 50, 0);
	c = noise_interval(&result, &none, LATENCY_SERVICE, 50);
	assert_true(c.low == plain.low && c.high == plain.high);
	c = noise_interval(&result, &unknown, LATENCY_SERVICE, 50);
	assert_true(c.low == plain.low && c.high == plain.high);
	result_finish(&result);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_quantiles_of_student_match_the_published_tables),
		cmocka_unit_test(runs_within_their_own_variation_do_not_differ),
		cmocka_unit_test(detects_five_percent_between_steady_runs),
		cmocka_unit_test(
		    drifting_seconds_carry_less_information_than_independent_ones),
		cmocka_unit_test(short_runs_have_no_noise_estimate),
		cmocka_unit_test(needs_five_full_seconds_with_answers),
		cmocka_unit_test(takes_noise_from_the_nearest_known_percentile),
		cmocka_unit_test(response_noise_applies_to_service_time),
		cmocka_unit_test(
		    an_interval_is_never_narrower_than_by_order_statistics),
	};

	return cmocka_run_group_tests_name("noise", tests, NULL, NULL);
}
