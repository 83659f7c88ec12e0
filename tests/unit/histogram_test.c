#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka needs some of those above */
#include <cmocka.h>

#include "lib/stats/histogram.h"

static const struct histogram_config hour_us = { 1, 3600000000, 3 };
static const struct histogram_config hour_ns = { 1, 3600000000000, 3 };

static struct histogram *
make(const struct histogram_config *config)
{
	struct histogram *histogram = histogram_create(config);

	assert_non_null(histogram);
	return histogram;
}

static void
the_indexes_match_other_implementations(void **state)
{
	struct histogram *h = make(&hour_us);
	static const struct {
		uint64_t value;
		int32_t index;
	} known[] = { { 0, 0 }, { 1, 1 }, { 2047, 2047 }, { 2048, 2048 },
		{ 2049, 2048 }, { 5000, 3298 }, { 123456, 8073 },
		{ 3600000000, 23220 } };

	(void)state;
	assert_int_equal(h->counts_length, 23552);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		assert_int_equal(histogram_index(h, known[i].value), known[i].index);
	free(h);
}

static void
every_index_round_trips_through_its_value(void **state)
{
	static const struct histogram_config configs[] = { { 1, 3600000000000, 3 },
		{ 1, 2, 1 }, { 1000, 3600000000, 2 }, { 1, (int64_t)1 << 62, 5 },
		{ 7, 100000, 4 } };

	(void)state;
	for (size_t c = 0; c < sizeof(configs) / sizeof(configs[0]); c++) {
		struct histogram *h = make(&configs[c]);

		for (int32_t i = 0; i < h->counts_length; i++) {
			uint64_t low = histogram_value_at(h, i);
			uint64_t high = histogram_highest_equivalent(h, low);

			assert_int_equal(histogram_index(h, low), i);
			assert_int_equal(histogram_index(h, high), i);
			assert_true(histogram_lowest_equivalent(h, high) == low);
		}
		assert_true(histogram_index(h, (uint64_t)configs[c].highest) <
		    h->counts_length);
		free(h);
	}
}

static void
an_empty_histogram_reports_zeros(void **state)
{
	struct histogram *h = make(&hour_ns);
	struct histogram_cursor cursor = { 0 };

	(void)state;
	assert_true(histogram_count(h) == 0);
	assert_true(histogram_min(h) == 0);
	assert_true(histogram_max(h) == 0);
	assert_true(histogram_mean(h) == 0);
	assert_true(histogram_stddev(h) == 0);
	assert_true(histogram_percentile(h, 99) == 0);
	assert_false(histogram_next(h, &cursor));
	free(h);
}

static void
percentiles_of_the_values_1_to_10000_equal_their_ranks(void **state)
{
	struct histogram *h = make(&hour_ns);
	static const double percentiles[] = { 0, 0.01, 10, 50, 90, 99, 99.9, 99.99,
		100 };

	(void)state;
	for (uint64_t v = 1; v <= 10000; v++)
		histogram_record(h, v);
	for (size_t i = 0; i < sizeof(percentiles) / sizeof(percentiles[0]); i++) {
		double expected = percentiles[i] * 100;
		uint64_t exact = expected < 1 ? 1 : (uint64_t)lround(expected);
		uint64_t got = histogram_percentile(h, percentiles[i]);

		assert_true(got == histogram_highest_equivalent(h, exact) ||
		    (exact == 10000 && got == 10000));
	}
	assert_true(histogram_min(h) == 1 && histogram_max(h) == 10000);
	assert_true(fabs(histogram_mean(h) - 5000.5) < 5);
	assert_true(fabs(histogram_stddev(h) - 2886.75) < 5);
	free(h);
}

static void
p99_9_of_a_thousand_values_is_the_999th(void **state)
{
	struct histogram *h = make(&hour_ns);
	struct histogram_walk walk = { 0 };

	(void)state;
	histogram_record_many(h, 10, 999);
	histogram_record(h, 1000);
	assert_true(histogram_percentile(h, 99.9) == 10);
	assert_true(histogram_percentile(h, 99.91) == 1000);
	assert_true(histogram_walk_to(h, &walk, 999) == 10);
	assert_true(histogram_walk_to(h, &walk, 1000) == 1000);
	assert_true(histogram_walk_to(h, &walk, 5000) == 1000);
	free(h);
}

/* A generator of pseudo-random numbers (Knuth, MMIX). */
static uint64_t
next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 20;
}

/* Values of one octave or of all, dense or far apart. */
static struct histogram *
make_random(uint64_t seed)
{
	struct histogram *h = make(&hour_ns);
	uint64_t state = seed, values = 1 + next_random(&state) % 3000;
	unsigned shift = 3 + (unsigned)(next_random(&state) % 28);

	for (uint64_t i = 0; i < values; i++) {
		uint64_t value = next_random(&state) >> shift;

		if (seed % 2 == 0)
			value >>= next_random(&state) % 20;
		histogram_record_many(h, value, 1 + next_random(&state) % 4);
	}
	return h;
}

/* The value at a rank, by the definition: counts one after the other. */
static uint64_t
count_up_to(const struct histogram *h, uint64_t rank)
{
	uint64_t below = 0;
	int32_t i = 0;

	while (
	    i < histogram_index(h, histogram_max(h)) && (below += h->counts[i]) < rank)
		i++;
	uint64_t value = histogram_highest_equivalent(h, histogram_value_at(h, i));
	return value < histogram_max(h) ? value : histogram_max(h);
}

static void
percentiles_by_one_walk_equal_those_one_by_one(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct histogram *h = make_random(seed);
		struct histogram_walk walk = { 0 }, ranks = { 0 }, any = { 0 };
		uint64_t random = seed, count = histogram_count(h), before = 0;

		for (double p = 0; p <= 100; p += 0.3) {
			uint64_t value = histogram_walk_to_percentile(h, &walk, p);

			assert_true(value == histogram_percentile(h, p));
			assert_true(value >= before);
			before = value;
		}
		for (uint64_t r = 1; r <= count + 2; r += 1 + next_random(&random) % 9)
			assert_true(
			    histogram_walk_to(h, &ranks, r) == count_up_to(h, r));
		/* Ranks in no order start from the beginning where they must. */
		for (int i = 0; i < 20; i++) {
			uint64_t r = 1 + next_random(&random) % (count + 2);

			assert_true(histogram_walk_to(h, &any, r) == count_up_to(h, r));
		}
		free(h);
	}
}

static void
the_cursor_and_the_sum_skip_no_value(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct histogram *h = make_random(seed), *sum = make(&hour_ns);
		struct histogram_cursor cursor = { 0 };

		for (int32_t i = 0; i < h->counts_length; i++) {
			if (h->counts[i] == 0)
				continue;
			assert_true(histogram_next(h, &cursor));
			assert_int_equal(cursor.index, i);
			assert_true(cursor.count == h->counts[i]);
		}
		assert_false(histogram_next(h, &cursor));
		assert_true(cursor.cumulative == histogram_count(h));
		assert_int_equal(histogram_add(sum, h), 0);
		assert_memory_equal(sum, h, histogram_size(&hour_ns));
		free(h);
		free(sum);
	}
}

static void
a_value_over_the_highest_is_dropped_and_counted(void **state)
{
	struct histogram *h = make(&hour_ns);

	(void)state;
	histogram_record(h, 3600000000000);
	histogram_record(h, 3600000000001);
	histogram_record(h, UINT64_MAX);
	assert_true(histogram_count(h) == 1);
	assert_true(histogram_dropped(h) == 2);
	assert_true(histogram_max(h) == 3600000000000);
	free(h);
}

static void
adding_equals_recording_in_one_histogram(void **state)
{
	struct histogram *a = make(&hour_ns), *b = make(&hour_ns),
			 *all = make(&hour_ns);
	uint64_t value = 1;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		value = value * 6364136223846793005u + 1442695040888963407u;
		uint64_t v = value >> (20 + i % 40);

		histogram_record(i % 3 == 0 ? a : b, v);
		histogram_record(all, v);
	}
	assert_int_equal(histogram_add(a, b), 0);
	assert_memory_equal(a, all, histogram_size(&hour_ns));
	free(a);
	free(b);
	free(all);
}

static void
adding_updates_minimum_and_maximum(void **state)
{
	struct histogram *h = make(&hour_ns), *other = make(&hour_ns);

	(void)state;
	histogram_record(h, 500);
	histogram_record(other, 20);
	histogram_record(other, 7000);
	assert_int_equal(histogram_add(h, other), 0);
	assert_true(histogram_min(h) == 20 && histogram_max(h) == 7000);
	assert_int_equal(histogram_add(other, h), 0);
	assert_true(histogram_min(other) == 20 && histogram_max(other) == 7000);
	free(h);
	free(other);
}

static void
a_reset_or_zeroed_histogram_equals_a_new_one(void **state)
{
	size_t size = histogram_size(&hour_ns);
	struct histogram *new = make(&hour_ns), *emptied = make(&hour_ns);
	void *zeros = calloc(1, size);

	(void)state;
	assert_non_null(zeros);
	histogram_record(emptied, 5);
	histogram_record(emptied, UINT64_MAX);
	histogram_reset(emptied);
	assert_memory_equal(emptied, new, size);
	assert_ptr_equal(histogram_init_zeroed(zeros, &hour_ns), zeros);
	assert_memory_equal(zeros, new, size);
	free(new);
	free(emptied);
	free(zeros);
}

static void
adding_a_different_configuration_is_refused(void **state)
{
	struct histogram *a = make(&hour_ns), *b = make(&hour_us);

	(void)state;
	histogram_record(b, 5);
	errno = 0;
	assert_int_equal(histogram_add(a, b), -1);
	assert_int_equal(errno, EINVAL);
	assert_true(histogram_count(a) == 0);
	free(a);
	free(b);
}

static void
subtracting_a_snapshot_leaves_the_values_recorded_since(void **state)
{
	struct histogram *now = make(&hour_ns), *before = make(&hour_ns);
	struct histogram *between = make(&hour_ns);

	(void)state;
	histogram_record(now, 7);
	histogram_record(now, 900000);
	assert_int_equal(histogram_add(before, now), 0);
	histogram_record_many(now, 123456, 3);
	assert_int_equal(histogram_subtract(between, now, before), 0);
	assert_true(histogram_count(between) == 3);
	assert_true(histogram_lowest_equivalent(now, 123456) == histogram_min(between));
	assert_true(
	    histogram_highest_equivalent(now, 123456) == histogram_max(between));
	assert_true(histogram_dropped(between) == 0);
	assert_int_equal(histogram_subtract(between, now, now), 0);
	assert_true(histogram_count(between) == 0 && histogram_max(between) == 0);
	/* The maximum is exact if it was recorded since the snapshot. */
	histogram_record(now, 1000000);
	histogram_record_many(now, UINT64_MAX, 4);
	assert_int_equal(histogram_subtract(between, now, before), 0);
	assert_true(histogram_max(between) == 1000000);
	assert_true(histogram_dropped(between) == 4);
	free(now);
	free(before);
	free(between);
}

static void
refuses_invalid_configurations(void **state)
{
	static const struct histogram_config bad[] = { { 0, 100, 3 }, { 1, 1, 3 },
		{ 1, 100, 0 }, { 1, 100, 6 }, { 100, 150, 3 }, { -1, 100, 3 },
		{ (int64_t)1 << 60, (int64_t)1 << 62, 5 } };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		errno = 0;
		assert_true(histogram_size(&bad[i]) == 0);
		assert_int_equal(errno, EINVAL);
		assert_null(histogram_create(&bad[i]));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_indexes_match_other_implementations),
		cmocka_unit_test(every_index_round_trips_through_its_value),
		cmocka_unit_test(an_empty_histogram_reports_zeros),
		cmocka_unit_test(
		    percentiles_of_the_values_1_to_10000_equal_their_ranks),
		cmocka_unit_test(p99_9_of_a_thousand_values_is_the_999th),
		cmocka_unit_test(percentiles_by_one_walk_equal_those_one_by_one),
		cmocka_unit_test(the_cursor_and_the_sum_skip_no_value),
		cmocka_unit_test(a_value_over_the_highest_is_dropped_and_counted),
		cmocka_unit_test(adding_equals_recording_in_one_histogram),
		cmocka_unit_test(adding_updates_minimum_and_maximum),
		cmocka_unit_test(a_reset_or_zeroed_histogram_equals_a_new_one),
		cmocka_unit_test(adding_a_different_configuration_is_refused),
		cmocka_unit_test(
		    subtracting_a_snapshot_leaves_the_values_recorded_since),
		cmocka_unit_test(refuses_invalid_configurations),
	};

	return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
