/* The plan of a survey: rungs of the ladder, and the budget of connections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka needs those above */
#include <cmocka.h>

#include "lib/clock.h"
#include "client/ladder/ladder.h"
#include "client/survey/survey.h"

static struct survey_plan
plan_of(uint64_t duration_s, uint64_t idle_max_s, uint32_t connections)
{
	struct survey_plan plan = { .duration_ns = duration_s * NS_PER_S,
		.idle_max_ns = idle_max_s * NS_PER_S,
		.connections = connections,
		.burst = 50,
		.repeat = 3 };
	for (int i = 0; i < SURVEY_ROW_COUNT; i++)
		plan.is_asked[i] = true;
	return plan;
}

static void
rungs_grow_and_none_is_above_the_top(void **state)
{
	static const double tops[] = { 0.5, 1, 6, 14, 15, 57, 117, 597, 4197, 7500 };
	double rungs[SURVEY_RUNGS_MAX];
	(void)state;
	for (size_t t = 0; t < sizeof(tops) / sizeof(tops[0]); t++) {
		uint32_t count = ladder_rungs(tops[t], rungs);
		assert_in_range(count, 1, SURVEY_RUNGS_MAX);
		for (uint32_t i = 1; i < count; i++)
			assert_true(rungs[i] > rungs[i - 1]);
		assert_true(rungs[count - 1] <= tops[t]);
		/* The top is reached, or nearly. */
		assert_true(rungs[count - 1] >= tops[t] * 0.94 - 0.5);
	}
	assert_int_equal(ladder_rungs(0, rungs), 0);
}

static void
two_minutes_have_the_rungs_around_known_timeouts(void **state)
{
	static const double expected[] = { 5, 10, 15, 20, 29, 31, 44, 46, 59, 62, 74,
		76, 89, 91, 105, 117 };
	double rungs[SURVEY_RUNGS_MAX];
	(void)state;
	assert_int_equal(
	    ladder_rungs(117, rungs), sizeof(expected) / sizeof(expected[0]));
	assert_memory_equal(rungs, expected, sizeof(expected));
}

static void
the_top_ends_before_the_survey(void **state)
{
	struct survey_plan plan = plan_of(120, 0, 128);
	(void)state;
	assert_true(ladder_top(&plan) > 110 && ladder_top(&plan) < 120);
	plan = plan_of(120, 60, 128);
	assert_float_equal(ladder_top(&plan), 60, 1e-9);
	plan = plan_of(60, 60, 128);
	assert_true(ladder_top(&plan) < 60);
	plan = plan_of(2, 0, 128);
	assert_float_equal(ladder_top(&plan), 0, 1e-9);
}

static void
the_ladder_leaves_room_for_the_other_probes(void **state)
{
	static const uint32_t connections[] = { 8, 20, 128, 1000 };
	(void)state;
	for (size_t i = 0; i < sizeof(connections) / sizeof(connections[0]); i++) {
		struct survey_plan plan = plan_of(9000, 0, connections[i]);
		assert_true(ladder_connections(&plan) <= connections[i] * 3 / 4);
		assert_true(ladder_connections(&plan) > 0);
	}
}

static void
the_announced_connections_are_those_of_the_probes_asked(void **state)
{
	struct survey_plan plan = plan_of(120, 0, 128);
	(void)state;
	uint64_t all = survey_connections(&plan);
	assert_in_range(all, 300, 600);
	plan.is_asked[SURVEY_concurrent] = false;
	assert_int_equal(survey_connections(&plan), all - 128);
	plan.is_asked[SURVEY_burst] = false;
	assert_int_equal(survey_connections(&plan), all - 128 - 50);
	assert_true(survey_rate_connections(&plan) > 0);
	plan.is_asked[SURVEY_rate] = false;
	assert_int_equal(survey_rate_connections(&plan), 0);
}

/* Without a connection that ended idle, nothing shows that keepalives do not help. */
static void
a_connection_that_ends_in_spite_of_keepalives_is_judged_by_those_without(void **state)
{
	(void)state;
	struct survey_plan plan = plan_of(12, 0, 128);
	static struct survey_ladder ladder;
	static struct survey_result result;
	struct survey survey = { .plan = &plan, .result = &result, .ladder = &ladder };
	const struct survey_row *row = &result.rows[SURVEY_keepalive];
	ladder.keepalive_ns = NS_PER_S;
	ladder.top_s = 7;
	ladder.trial_count = 2;
	ladder.trials[0] = (struct ladder_trial){ .kind = LADDER_KEPT_BY_CLIENT,
		.result = { .planned_s = 7, .idle_s = 5, .fate = BRACKET_FIN } };
	ladder.trials[1] = (struct ladder_trial){ .kind = LADDER_CLIENT_FIRST,
		.result = { .planned_s = 7, .idle_s = 7, .fate = BRACKET_ALIVE } };
	ladder_conclude(&survey);
	assert_non_null(strstr(row->text, "without, none was seen to end"));
	assert_string_equal(row->mark, "");
	ladder.trials[1].result.idle_s = 5;
	ladder.trials[1].result.fate = BRACKET_FIN;
	memset(&result, 0, sizeof(result));
	ladder_conclude(&survey);
	assert_string_equal(row->text, "every 1 s does not help");
	assert_string_not_equal(row->mark, "");
	/* No time was left for a connection to be idle. */
	ladder.top_s = 0;
	ladder.trials[0].result.fate = BRACKET_ALIVE;
	ladder.trials[0].result.idle_s = 0;
	memset(&result, 0, sizeof(result));
	ladder_conclude(&survey);
	assert_int_equal(row->certainty, SURVEY_NOT_ASKED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rungs_grow_and_none_is_above_the_top),
		cmocka_unit_test(two_minutes_have_the_rungs_around_known_timeouts),
		cmocka_unit_test(the_top_ends_before_the_survey),
		cmocka_unit_test(the_ladder_leaves_room_for_the_other_probes),
		cmocka_unit_test(
		    a_connection_that_ends_in_spite_of_keepalives_is_judged_by_those_without),
		cmocka_unit_test(
		    the_announced_connections_are_those_of_the_probes_asked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
