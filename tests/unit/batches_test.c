#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs some of those above */
#include <cmocka.h>
#include <math.h>

#include "lib/stats/batches.h"
#include "client/result/comparison.h"
#include "client/result/result.h"

#define US UINT64_C(1000)

static void
the_quantiles_of_student_match_the_published_tables(void **state)
{
	(void)state;
	assert_true(fabs(batches_student(1) - 12.706) < 0.001);
	assert_true(fabs(batches_student(2) - 4.303) < 0.15);
	assert_true(fabs(batches_student(4) - 2.776) < 0.01);
	assert_true(fabs(batches_student(9) - 2.262) < 0.001);
	assert_true(fabs(batches_student(30) - 2.042) < 0.001);
	assert_true(fabs(batches_student(1e9) - 1.96) < 0.001);
	assert_true(fabs(batches_student(INFINITY) - 1.96) < 0.001);
}

/* A batch of 1,000 answers; most take about `us`, the others twice as long. */
static void
add_batch(struct batches *batches, struct histogram *all, uint64_t us)
{
	struct histogram *now = histogram_create(&counters_latency_config);

	assert_non_null(now);
	for (uint64_t i = 0; i < 800; i++)
		histogram_record(now, us * (950 + i / 8) * US / 1000);
	histogram_record_many(now, 2 * us * US, 200);
	assert_true(batches_add(batches, now) >= 0);
	assert_true(histogram_add(all, now) == 0);
	free(now);
}

static void
estimate(const struct batches *batches, struct result *ret)
{
	static const int both[] = { LATENCY_RESPONSE, LATENCY_SERVICE };

	for (int b = 0; b < 2; b++) {
		struct result_precision *precision = &ret->precision[both[b]];

		for (size_t i = 0; i < RESULT_PERCENTILES; i++)
			precision->percentiles[i] = batches_percentile(
			    batches, ret->latency[both[b]], result_percentiles[i]);
		precision->mean_half_ns = batches_mean_half(batches);
	}
}

static struct result
run_of(const uint64_t *us, size_t count)
{
	struct batches batches = { .count = 0 };
	struct result result;

	result_init(&result);
	for (size_t i = 0; i < count; i++)
		add_batch(&batches, result.latency[LATENCY_RESPONSE], us[i]);
	assert_true(histogram_add(result.latency[LATENCY_SERVICE],
			result.latency[LATENCY_RESPONSE]) == 0);
	estimate(&batches, &result);
	batches_clear(&batches);
	return result;
}

static enum comparison_outcome
outcome_of(struct result *a, struct result *b, const char *name)
{
	struct comparison_side sides[2] = { { a, 1 }, { b, 1 } };
	struct comparison_row rows[COMPARISON_ROWS_MAX];
	size_t count = comparison_of(sides, rows);

	for (size_t i = 0; i < count; i++)
		if (strcmp(rows[i].name, name) == 0)
			return rows[i].outcome;
	fail_msg("no row %s", name);
	return COMPARISON_NOISE;
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
	assert_int_not_equal(outcome_of(&a, &b, "response mean"), COMPARISON_WORSE);
	assert_int_not_equal(outcome_of(&a, &b, "response p50"), COMPARISON_WORSE);
	assert_int_not_equal(outcome_of(&a, &b, "response p90"), COMPARISON_WORSE);
	assert_int_not_equal(outcome_of(&a, &b, "service p50"), COMPARISON_WORSE);
	assert_int_not_equal(outcome_of(&a, &b, "service p99"), COMPARISON_WORSE);
	result_finish(&a);
	result_finish(&b);
}

static void
detects_five_percent_between_steady_runs(void **state)
{
	static const uint64_t one[] = { 20000, 20100, 20000, 19900, 20000, 20000, 20100,
		19900 };
	static const uint64_t two[] = { 21000, 21100, 21000, 20900, 21000, 21000, 21100,
		20900 };
	struct result a = run_of(one, 8), b = run_of(two, 8);

	(void)state;
	assert_int_equal(outcome_of(&a, &b, "response mean"), COMPARISON_WORSE);
	assert_int_equal(outcome_of(&a, &b, "response p50"), COMPARISON_WORSE);
	assert_int_equal(outcome_of(&b, &a, "response p50"), COMPARISON_BETTER);
	assert_int_equal(outcome_of(&a, &b, "service p50"), COMPARISON_WORSE);
	result_finish(&a);
	result_finish(&b);
}

/* Batches that resemble their neighbours are worth fewer samples. */
static void
drifting_batches_carry_less_information_than_independent_ones(void **state)
{
	static const uint64_t drift[] = { 80, 82, 84, 86, 88, 90, 92, 94, 96, 98 };
	static const uint64_t jump[] = { 80, 98, 82, 96, 84, 94, 86, 92, 88, 90 };
	struct result a = run_of(drift, 10), b = run_of(jump, 10);

	(void)state;
	assert_true(a.precision[LATENCY_RESPONSE].mean_half_ns >
	    1.2 * b.precision[LATENCY_RESPONSE].mean_half_ns);
	result_finish(&a);
	result_finish(&b);
}

static void
few_batches_have_no_estimate(void **state)
{
	static const uint64_t few[] = { 50, 50, 50, 50, 50, 50, 50 };
	struct result result = run_of(few, 7);
	struct percentile_interval c = result_percentile(&result, LATENCY_RESPONSE, 50);

	(void)state;
	assert_true(isnan(result.precision[LATENCY_RESPONSE].mean_half_ns));
	assert_true(c.known && !c.has_interval);
	assert_int_equal(
	    outcome_of(&result, &result, "response p50"), COMPARISON_INCONCLUSIVE);
	result_finish(&result);
}

/* Connections that were all opened at once sample the machine once. */
static void
values_of_one_moment_have_no_estimate(void **state)
{
	struct batches batches = { .count = 0 };
	struct histogram *all = histogram_create(&counters_latency_config);
	struct histogram *none = histogram_create(&counters_latency_config);

	(void)state;
	assert_true(all != NULL && none != NULL);
	add_batch(&batches, all, 100);
	for (int i = 0; i < 30; i++)
		assert_int_equal(batches_add(&batches, none), 0);
	assert_true(batches_percentile(&batches, all, 50).effective == 0);
	assert_true(isnan(batches_mean_half(&batches)));
	batches_clear(&batches);
	free(all);
	free(none);
}

/* The batch has exactly these values. */
static void
assert_values(const struct batch *batch, const uint64_t *us, size_t count)
{
	struct histogram *one = histogram_create(&counters_latency_config);
	struct histogram_cursor cursor = { 0 };
	double sum = 0;

	assert_non_null(one);
	for (size_t i = 0; i < count; i++)
		histogram_record(one, us[i] * US);
	for (size_t c = 0; c < batch->cell_count; c++) {
		assert_true(histogram_next(one, &cursor));
		assert_int_equal(batch->cells[c].index, cursor.index);
		assert_true(batch->cells[c].until == cursor.cumulative);
		sum += (double)cursor.value * (double)cursor.count;
	}
	assert_false(histogram_next(one, &cursor));
	assert_true(batch->count == count && batch->sum == sum);
	free(one);
}

static void
a_full_series_merges_neighbours_and_keeps_every_value(void **state)
{
	struct batches batches = { .count = 0 };
	struct histogram *one = histogram_create(&counters_latency_config);
	uint64_t us[1000], random = 5;
	size_t ends[BATCHES_MAX] = { 0 }; /* of the values in each batch */
	size_t count = 0;

	(void)state;
	assert_non_null(one);
	for (size_t i = 0; i < 1000; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		us[i] = 1 + (random >> 40) % 37;
		histogram_reset(one);
		histogram_record(one, us[i] * US);
		int merged = batches_add(&batches, one);
		assert_int_equal(merged, i >= 64 && i % 32 == 0);
		for (size_t b = 0; merged && b < BATCHES_MAX / 2; b++)
			ends[b] = ends[2 * b + 1];
		count = merged ? BATCHES_MAX / 2 : count;
		ends[count++] = i + 1;
	}
	assert_int_equal(batches.count, count);
	for (size_t b = 0, begin = 0; b < count; begin = ends[b++])
		assert_values(&batches.rows[b], us + begin, ends[b] - begin);
	batches_clear(&batches);
	assert_int_equal(batches.count, 0);
	free(one);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_quantiles_of_student_match_the_published_tables),
		cmocka_unit_test(runs_within_their_own_variation_do_not_differ),
		cmocka_unit_test(detects_five_percent_between_steady_runs),
		cmocka_unit_test(
		    drifting_batches_carry_less_information_than_independent_ones),
		cmocka_unit_test(few_batches_have_no_estimate),
		cmocka_unit_test(values_of_one_moment_have_no_estimate),
		cmocka_unit_test(a_full_series_merges_neighbours_and_keeps_every_value),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
