/* trend: groups, levels, and how often unchanged runs are called worse. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs some of those above */
#include <cmocka.h>

#include "lib/xmalloc.h"
#include "client/trend/trend.h"
#include "client/trend/trend_text.h"

#define RUNS 30
#define FIGURES 12
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

static double
normal(void)
{
	return sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform());
}

/* Runs with durations of 1 ms, which vary by 5 % with that correlation of neighbours.
 */
static struct trend_runs
make_runs(size_t count, double correlation)
{
	struct trend_runs runs = { .items = xcalloc(count, sizeof(*runs.items)),
		.count = count };
	double noise[FIGURES];
	for (size_t f = 0; f < FIGURES; f++)
		noise[f] = normal() / sqrt(1 - correlation * correlation);
	for (size_t i = 0; i < count; i++) {
		struct trend_run *run = &runs.items[i];
		run->path = xstrdup("run.json");
		run->hostname = xstrdup("host");
		run->plan = json_object();
		run->rows = xcalloc(FIGURES, sizeof(*run->rows));
		run->row_count = FIGURES;
		for (size_t f = 0; f < FIGURES; f++) {
			run->rows[f].base = (struct comparison_estimate){
				.value = 1e6 * exp(0.05 * noise[f]), .known = true
			};
			snprintf(
			    run->rows[f].name, sizeof(run->rows[f].name), "%zu", f);
			noise[f] = correlation * noise[f] + normal();
		}
	}
	return runs;
}

/* Knuth */
static double
poisson(double mean)
{
	double product = uniform(), count = 0;
	for (; product > exp(-mean); count++)
		product *= uniform();
	return count;
}

/* Runs whose figures count events of that mean. */
static struct trend_runs
make_events(size_t count, double mean)
{
	struct trend_runs runs = make_runs(count, 0);
	for (size_t i = 0; i < count; i++)
		for (size_t f = 0; f < FIGURES; f++) {
			runs.items[i].rows[f].unit = COMPARISON_EVENTS;
			runs.items[i].rows[f].base.value = poisson(mean);
		}
	return runs;
}

/* Judges the runs and frees them. */
static bool
are_worse(struct trend_runs *runs)
{
	size_t count;
	struct trend_group *group = trend_groups_create(runs, NULL, 0, &count);
	assert_int_equal(count, 1);
	assert_int_equal(group->figure_count, FIGURES);
	bool worse = trend_is_worse(group);
	trend_groups_destroy(group, count);
	trend_runs_finish(runs);
	return worse;
}

static void
at_most_one_unchanged_latest_run_in_200_is_worse(void **test_state)
{
	(void)test_state;
	int independent = 0, correlated = 0, rare = 0, frequent = 0;
	state = 88172645463325252;
	for (int i = 0; i < SERIES; i++) {
		struct trend_runs runs = make_runs(RUNS, 0.3);
		correlated += are_worse(&runs);
		if (i % 5 != 0)
			continue;
		runs = make_runs(RUNS, 0);
		independent += are_worse(&runs);
		runs = make_events(RUNS, 0.1);
		rare += are_worse(&runs);
		runs = make_events(RUNS, 3);
		frequent += are_worse(&runs);
	}
	assert_true(correlated <= SERIES / 200);
	assert_true(independent <= SERIES / 5 / 200);
	assert_true(rare <= SERIES / 5 / 200);
	assert_true(frequent <= SERIES / 5 / 200);
}

/* Until there are TREND_LEVEL_MIN runs of the worse level before the latest. */
static void
each_of_the_first_runs_of_a_worse_level_is_worse(void **test_state)
{
	(void)test_state;
	state = 9;
	for (size_t length = 12; length <= 24; length += 6)
		for (size_t bad = 1; bad <= 7; bad++) {
			struct trend_runs runs = make_runs(length, 0);
			for (size_t i = length - bad; i < length; i++)
				runs.items[i].rows[0].base.value *= 2;
			assert_int_equal(are_worse(&runs), bad <= TREND_LEVEL_MIN);
		}
}

static void
a_run_after_the_worse_ones_is_not(void **test_state)
{
	(void)test_state;
	state = 10;
	for (size_t bad = 1; bad <= 4; bad++) {
		struct trend_runs runs = make_runs(RUNS, 0);
		for (size_t i = RUNS - 1 - bad; i < RUNS - 1; i++)
			runs.items[i].rows[0].base.value *= 2;
		assert_false(are_worse(&runs));
	}
}

/* Of ten runs with these events, and the latest ones. */
static void
events_are_judged_by_their_number(void **test_state)
{
	(void)test_state;
	static const struct {
		double earlier[2], latest; /* alternating */
		size_t latest_count;
		enum trend_outcome outcome;
	} rows[] = {
		{ { 0, 0 }, 0, 1, TREND_NOISE },
		{ { 0, 0 }, 1, 1, TREND_NOISE }, /* p 1/11 */
		{ { 0, 0 }, 5, 1, TREND_WORSE }, /* p 1/11^5 */
		{ { 0, 0 }, 8, 2, TREND_WORSE },
		{ { 0, 0 }, 8, 5, TREND_WORSE },
		{ { 3, 5 }, 8, 1, TREND_NOISE },
		{ { 3, 5 }, 19, 1, TREND_WORSE },
		{ { 40, 60 }, 5, 1, TREND_BETTER },
		/* They come in clusters. */
		{ { 0, 8 }, 19, 1, TREND_NOISE },
		{ { 0, 8 }, 200, 1, TREND_WORSE },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct trend_runs runs = make_events(10 + rows[i].latest_count, 0);
		size_t count;
		for (size_t run = 0; run < runs.count; run++)
			runs.items[run].rows[0].base.value =
			    run < 10 ? rows[i].earlier[run % 2] : rows[i].latest;
		struct trend_group *group = trend_groups_create(&runs, NULL, 0, &count);
		assert_int_equal(group->figures[0].latest, rows[i].outcome);
		trend_groups_destroy(group, count);
		trend_runs_finish(&runs);
	}
}

static void
a_latest_run_beyond_the_noise_is_worse_or_better(void **test_state)
{
	(void)test_state;
	struct trend_runs runs = make_runs(RUNS, 0);
	size_t count;
	runs.items[RUNS - 1].rows[0].base.value = 1.5e6;
	runs.items[RUNS - 1].rows[1].base.value = 0.6e6;
	struct trend_group *group = trend_groups_create(&runs, NULL, 0, &count);
	assert_int_equal(group->figures[0].latest, TREND_WORSE);
	assert_int_equal(group->figures[1].latest, TREND_BETTER);
	assert_int_equal(group->figures[2].latest, TREND_NOISE);
	assert_true(trend_is_worse(group));
	trend_groups_destroy(group, count);
	trend_runs_finish(&runs);
}

static void
few_runs_do_not_tell(void **test_state)
{
	(void)test_state;
	struct trend_runs runs = make_runs(TREND_LEVEL_MIN, 0);
	size_t count;
	runs.items[TREND_LEVEL_MIN - 1].rows[0].base.value = 9e6;
	struct trend_group *group = trend_groups_create(&runs, NULL, 0, &count);
	assert_int_equal(group->figures[0].latest, TREND_UNKNOWN);
	assert_false(trend_is_worse(group));
	trend_groups_destroy(group, count);
	trend_runs_finish(&runs);
}

static void
the_first_wrong_answers_are_worse_at_once(void **test_state)
{
	(void)test_state;
	for (size_t length = 2; length <= 4; length++) {
		struct trend_runs runs = make_runs(length, 0);
		for (size_t i = 0; i < length; i++) {
			struct comparison_row *row = &runs.items[i].rows[0];
			strcpy(row->name, "wrong");
			row->unit = COMPARISON_EVENTS;
			row->base.value = i > 0;
		}
		assert_true(are_worse(&runs));
	}
}

/* After a change, the level before the latest run is the new one. */
static void
the_latest_run_is_compared_with_its_own_level(void **test_state)
{
	(void)test_state;
	struct trend_runs runs = make_runs(RUNS, 0);
	size_t count;
	for (size_t i = 15; i < RUNS; i++)
		runs.items[i].rows[0].base.value *= 2;
	struct trend_group *group = trend_groups_create(&runs, NULL, 0, &count);
	struct trend_figure *figure = &group->figures[0];
	assert_int_equal(figure->change_count, 1);
	assert_int_equal(figure->changes[0], 15);
	assert_int_equal(figure->reference_first, 15);
	assert_int_equal(figure->latest, TREND_NOISE);
	double level = trend_level(figure, 15, RUNS - 1);
	assert_true(level > 1.9e6 && level < 2.1e6);
	trend_groups_destroy(group, count);
	trend_runs_finish(&runs);
}

/* The first outage after many runs without one: its events are judged, not its length.
 */
static void
durations_that_may_be_zero_are_not_judged(void **test_state)
{
	(void)test_state;
	struct trend_runs runs = make_runs(RUNS, 0);
	size_t count;
	for (size_t i = 0; i < RUNS; i++) {
		runs.items[i].rows[0].unit = COMPARISON_DURATION;
		runs.items[i].rows[0].base.value = i + 1 < RUNS ? 0 : 250e6;
	}
	struct trend_group *group = trend_groups_create(&runs, NULL, 0, &count);
	assert_int_equal(group->figures[0].latest, TREND_UNKNOWN);
	assert_int_equal(group->figures[0].change_count, 0);
	trend_groups_destroy(group, count);
	trend_runs_finish(&runs);
}

/* That of another group may have been judged. */
static void
a_latest_run_that_was_left_out_is_found(void **test_state)
{
	(void)test_state;
	static const char *const keys[] = { "arch" };
	struct trend_runs runs = make_runs(3, 0);
	struct trend_run left_out = { .started_at_ns = 2, .hostname = (char[]){ "h" } };
	for (size_t i = 0; i < 3; i++) {
		runs.items[i].started_at_ns = i + 1;
		labels_add(&runs.items[i].labels, "arch", "x86");
	}
	labels_add(&left_out.labels, "arch", "arm");
	runs.left_out = &left_out;
	runs.left_out_count = 1;
	assert_null(trend_find_unjudged(&runs, NULL, 0));
	assert_ptr_equal(trend_find_unjudged(&runs, keys, 1), &left_out);
	left_out.hostname = NULL;
	assert_null(trend_find_unjudged(&runs, keys, 1));
	left_out.started_at_ns = 3;
	assert_ptr_equal(trend_find_unjudged(&runs, NULL, 0), &left_out);
	assert_true(trend_has_label(&runs, "arch"));
	assert_false(trend_has_label(&runs, ""));
	labels_finish(&left_out.labels);
	runs.left_out = NULL;
	runs.left_out_count = 0;
	trend_runs_finish(&runs);
}

/* A value of an earlier run is not shown as that of the latest. */
static void
a_figure_that_the_latest_run_lacks_is_not_judged(void **test_state)
{
	(void)test_state;
	char text[UNITS_TEXT_MAX];
	struct trend_runs runs = make_runs(RUNS, 0);
	size_t count;
	runs.items[RUNS - 2].rows[0].base.value = 1.5e6;
	runs.items[RUNS - 1].rows[0].base.known = false;
	struct trend_group *group = trend_groups_create(&runs, NULL, 0, &count);
	const struct trend_figure *figure = &group->figures[0];
	assert_int_equal(figure->point_count, RUNS - 1);
	assert_int_equal(figure->latest, TREND_MISSING);
	assert_int_equal(figure->reference_end, RUNS - 1);
	assert_string_equal(trend_text_latest(figure, text), "-");
	assert_string_equal(trend_text_difference(figure, text), "-");
	assert_string_not_equal(trend_text_level(figure, text), "-");
	assert_false(trend_is_worse(group));
	trend_groups_destroy(group, count);
	trend_runs_finish(&runs);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_most_one_unchanged_latest_run_in_200_is_worse),
		cmocka_unit_test(each_of_the_first_runs_of_a_worse_level_is_worse),
		cmocka_unit_test(a_run_after_the_worse_ones_is_not),
		cmocka_unit_test(events_are_judged_by_their_number),
		cmocka_unit_test(a_latest_run_beyond_the_noise_is_worse_or_better),
		cmocka_unit_test(few_runs_do_not_tell),
		cmocka_unit_test(the_first_wrong_answers_are_worse_at_once),
		cmocka_unit_test(the_latest_run_is_compared_with_its_own_level),
		cmocka_unit_test(durations_that_may_be_zero_are_not_judged),
		cmocka_unit_test(a_latest_run_that_was_left_out_is_found),
		cmocka_unit_test(a_figure_that_the_latest_run_lacks_is_not_judged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
