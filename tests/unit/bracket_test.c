/* Brackets from invented rungs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The headers above are needed by cmocka. */
#include <cmocka.h>

#include "client/survey_result/bracket.h"

#define COUNT(trials) (sizeof(trials) / sizeof((trials)[0]))

static void
a_timeout_lies_between_the_last_alive_and_the_first_dead(void **state)
{
	const struct bracket_trial trials[] = {
		{ 5, 5.0, BRACKET_ALIVE, false },
		{ 76, 76.1, BRACKET_SILENCE, false },
		{ 74, 74.2, BRACKET_ALIVE, false },
		{ 117, 117.0, BRACKET_SILENCE, false },
	};
	struct bracket b = bracket_of(trials, COUNT(trials));
	(void)state;
	assert_float_equal(b.alive_s, 74.2, 1e-9);
	assert_float_equal(b.dead_s, 76.1, 1e-9);
	assert_int_equal(b.fate, BRACKET_SILENCE);
	assert_false(b.is_unclear);
	assert_false(b.unasked);
	assert_int_equal(b.alive, 2);
	assert_int_equal(b.dead, 2);
}

static void
all_alive_has_no_upper_end(void **state)
{
	const struct bracket_trial trials[] = {
		{ 5, 5.0, BRACKET_ALIVE, false },
		{ 10, 10.3, BRACKET_ALIVE, false },
		{ 15, 0, BRACKET_UNKNOWN, false },
	};
	struct bracket b = bracket_of(trials, COUNT(trials));
	(void)state;
	assert_float_equal(b.alive_s, 10.3, 1e-9);
	assert_float_equal(b.dead_s, 0, 1e-9);
	assert_int_equal(b.fate, BRACKET_ALIVE);
}

static void
nothing_tried_is_nothing_known(void **state)
{
	struct bracket b = bracket_of(NULL, 0);
	(void)state;
	assert_int_equal(b.alive + b.dead, 0);
	assert_int_equal(b.fate, BRACKET_ALIVE);
	assert_false(b.is_unclear);
}

static void
a_connection_that_outlives_a_dead_one_makes_it_unclear(void **state)
{
	const struct bracket_trial trials[] = {
		{ 60, 60.0, BRACKET_SILENCE, false },
		{ 90, 90.0, BRACKET_ALIVE, false },
	};
	struct bracket b = bracket_of(trials, COUNT(trials));
	(void)state;
	assert_true(b.is_unclear);
}

static void
a_rung_at_the_timeout_itself_is_not_unclear(void **state)
{
	const struct bracket_trial trials[] = {
		{ 3, 3.0, BRACKET_ALIVE, false },
		{ 4, 4.001, BRACKET_ALIVE, false },
		{ 5, 3.998, BRACKET_FIN, true },
		{ 6, 4.002, BRACKET_FIN, true },
	};
	struct bracket b = bracket_of(trials, COUNT(trials));
	(void)state;
	assert_false(b.is_unclear);
	assert_float_equal(b.alive_s, 3.0, 1e-9);
	assert_float_equal(b.dead_s, 3.998, 1e-9);
}

static void
ends_that_come_by_themselves_have_their_own_time(void **state)
{
	const struct bracket_trial trials[] = {
		{ 5, 5.0, BRACKET_ALIVE, false },
		{ 10, 6.01, BRACKET_FIN, true },
		{ 15, 6.00, BRACKET_FIN, true },
		{ 20, 6.02, BRACKET_FIN, true },
	};
	struct bracket b = bracket_of(trials, COUNT(trials));
	(void)state;
	assert_true(b.unasked);
	assert_int_equal(b.fate, BRACKET_FIN);
	assert_float_equal(b.dead_s, 6.00, 1e-9);
	assert_float_equal(b.alive_s, 5.0, 1e-9);
	assert_false(b.is_unclear);
}

static void
ends_at_very_different_times_are_unclear(void **state)
{
	const struct bracket_trial trials[] = {
		{ 10, 6.0, BRACKET_FIN, true },
		{ 20, 12.0, BRACKET_FIN, true },
	};
	(void)state;
	assert_true(bracket_of(trials, COUNT(trials)).is_unclear);
}

static void
different_ends_are_mixed(void **state)
{
	const struct bracket_trial trials[] = {
		{ 10, 10.0, BRACKET_RESET, false },
		{ 20, 20.0, BRACKET_SILENCE, false },
	};
	struct bracket b = bracket_of(trials, COUNT(trials));
	(void)state;
	assert_true(b.is_mixed);
	assert_int_equal(b.fate, BRACKET_RESET);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_timeout_lies_between_the_last_alive_and_the_first_dead),
		cmocka_unit_test(all_alive_has_no_upper_end),
		cmocka_unit_test(nothing_tried_is_nothing_known),
		cmocka_unit_test(
		    a_connection_that_outlives_a_dead_one_makes_it_unclear),
		cmocka_unit_test(a_rung_at_the_timeout_itself_is_not_unclear),
		cmocka_unit_test(ends_that_come_by_themselves_have_their_own_time),
		cmocka_unit_test(ends_at_very_different_times_are_unclear),
		cmocka_unit_test(different_ends_are_mixed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
