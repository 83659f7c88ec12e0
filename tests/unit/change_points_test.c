/* change_points: false alarms, and changes of known size and place. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka needs some of those above */
#include <cmocka.h>

#include "lib/stats/change_points.h"
#include "lib/stats/student.h"

#define RUNS 30
#define SERIES 10000

static uint64_t state;

static double
uniform(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return ((double)(state >> 11) + 0.5) / 9007199254740992.0;
}

/* Box and Muller */
static double
normal(void)
{
	return sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform());
}

/* Student's t with three degrees of freedom: heavy tails. */
static double
heavy(void)
{
	double squares = 0;
	for (int i = 0; i < 3; i++)
		squares += pow(normal(), 2);
	return normal() / sqrt(squares / 3);
}

/* An autoregressive process of that noise; 0: independent values. */
static void
make_series(double *values, size_t count, double correlation, double (*noise)(void))
{
	double value = noise() / sqrt(1 - correlation * correlation);
	for (size_t i = 0; i < count; i++) {
		values[i] = value;
		value = correlation * value + noise();
	}
}

static int
count_false_alarms(size_t length, double correlation, double (*noise)(void))
{
	double *values = calloc(length, sizeof(*values));
	size_t *places = calloc(length, sizeof(*places));
	int alarms = 0;
	assert_non_null(values);
	assert_non_null(places);
	state = 88172645463325252;
	for (int i = 0; i < SERIES; i++) {
		make_series(values, length, correlation, noise);
		alarms += change_points_find(values, length, 0, places) > 0;
	}
	free(values);
	free(places);
	return alarms;
}

static void
at_most_one_in_200_unchanged_series_shows_a_change(void **test_state)
{
	(void)test_state;
	const int most = SERIES / CHANGE_POINTS_FALSE_ALARMS;
	assert_true(count_false_alarms(RUNS, 0, normal) <= most);
	assert_true(count_false_alarms(RUNS, 0, heavy) <= most);
	int correlated = count_false_alarms(RUNS, 0.3, normal);
	assert_true(correlated <= most);
	/* The critical values are not so large that nothing is ever found. */
	assert_true(correlated >= most / 3);
}

static void
series_of_every_length_keep_that_rate(void **test_state)
{
	(void)test_state;
	const size_t lengths[] = { 8, 9, 11, 13, 15, 18, 22, 27, 35, 50, 100, 200 };
	const size_t count = getenv("LONG") != NULL ? 12 : 5;
	for (size_t i = 0; i < count; i++)
		assert_true(count_false_alarms(lengths[i], 0.3, normal) <=
		    SERIES / CHANGE_POINTS_FALSE_ALARMS);
}

static void
too_few_or_equal_values_show_no_change(void **test_state)
{
	(void)test_state;
	const double few[] = { 1, 1, 1, 9, 9, 9, 9 }, equal[RUNS] = { 0 };
	size_t places[RUNS];
	assert_int_equal(change_points_find(few, 7, 0, places), 0);
	assert_int_equal(change_points_find(equal, RUNS, 0, places), 0);
	assert_int_equal(change_points_find(equal, 0, 0, places), 0);
}

static void
changes_are_found_where_they_are(void **test_state)
{
	(void)test_state;
	double values[RUNS];
	size_t places[RUNS / CHANGE_POINTS_SEGMENT_MIN];
	int found = 0;
	state = 7;
	for (int i = 0; i < 200; i++) {
		make_series(values, RUNS, 0, normal);
		for (size_t j = 10; j < 20; j++)
			values[j] += 8;
		for (size_t j = 20; j < RUNS; j++)
			values[j] -= 8;
		found += change_points_find(values, RUNS, 0, places) == 2 &&
		    places[0] == 10 && places[1] == 20;
	}
	assert_true(found >= 195);
}

static void
a_change_of_six_deviations_is_found_after_three_runs(void **test_state)
{
	(void)test_state;
	double values[RUNS];
	size_t places[RUNS / CHANGE_POINTS_SEGMENT_MIN];
	int found = 0;
	state = 8;
	for (int i = 0; i < 200; i++) {
		make_series(values, RUNS, 0, normal);
		for (size_t j = RUNS - 3; j < RUNS; j++)
			values[j] += 6;
		found += change_points_find(values, RUNS, 0, places) == 1 &&
		    places[0] >= RUNS - 4 && places[0] <= RUNS - 2;
	}
	assert_true(found >= 190);
}

static void
a_change_below_the_noise_is_none(void **test_state)
{
	(void)test_state;
	double values[RUNS];
	size_t places[RUNS / CHANGE_POINTS_SEGMENT_MIN];
	for (size_t i = 0; i < RUNS; i++)
		values[i] = i < 15 ? 1 : 1.0001;
	assert_int_equal(change_points_find(values, RUNS, 0.001, places), 0);
	assert_int_equal(change_points_find(values, RUNS, 0.00001, places), 1);
	assert_int_equal(places[0], 15);
}

/* Quantiles of tables: Abramowitz and Stegun, table 26.10. */
static void
student_upper_agrees_with_the_tables(void **test_state)
{
	(void)test_state;
	const struct {
		double t, degrees, upper;
	} rows[] = { { 12.706, 1, 0.025 }, { 2.228, 10, 0.025 }, { 1.812, 10, 0.05 },
		{ 4.587, 10, 0.0005 }, { 2.750, 30, 0.005 }, { 3.646, 30, 0.0005 },
		{ 3.291, 1e6, 0.0005 }, { 0, 5, 0.5 }, { -2.228, 10, 0.975 } };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_true(
		    fabs(student_upper(rows[i].t, rows[i].degrees) / rows[i].upper -
			1) < 0.002);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_most_one_in_200_unchanged_series_shows_a_change),
		cmocka_unit_test(series_of_every_length_keep_that_rate),
		cmocka_unit_test(too_few_or_equal_values_show_no_change),
		cmocka_unit_test(changes_are_found_where_they_are),
		cmocka_unit_test(a_change_of_six_deviations_is_found_after_three_runs),
		cmocka_unit_test(a_change_below_the_noise_is_none),
		cmocka_unit_test(student_upper_agrees_with_the_tables),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
