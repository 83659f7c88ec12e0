#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka needs some of those above */
#include <cmocka.h>

#include "lib/clock.h"
#include "client/measure/tenths.h"

#define ROWS 10 /* in a second */

/* A second of ten rows; `lost` messages in the fourth. */
static void
add_second(struct tenths *tenths, unsigned second, uint64_t lost)
{
	for (unsigned i = 0; i < ROWS; i++) {
		const struct sampler_second row = { .at_s = second + i / 10.0,
			.length_s = 0.1,
			.verified = 5,
			.lost = i == 3 ? lost : 0 };
		tenths_add(tenths, &row);
	}
	tenths_end_second(tenths);
}

static void
the_seconds_around_an_event_are_kept(void **state)
{
	(void)state;
	struct tenths tenths = { .rows = NULL };
	for (unsigned second = 0; second < 9; second++)
		add_second(&tenths, second, second == 4 ? 2 : 0);
	assert_int_equal(tenths.count, 3 * ROWS);
	assert_true(tenths.rows[0].at_s == 3);
	assert_true(tenths.rows[3 * ROWS - 1].at_s == 5.9);
	assert_int_equal(tenths.rows[ROWS + 3].lost, 2);
	tenths_finish(&tenths);
}

static void
without_an_event_nothing_is_kept(void **state)
{
	(void)state;
	struct tenths tenths = { .rows = NULL };
	for (unsigned second = 0; second < 5; second++)
		add_second(&tenths, second, 0);
	assert_int_equal(tenths.count, 0);
	tenths_finish(&tenths);
}

static void
a_second_between_two_events_is_kept_once(void **state)
{
	(void)state;
	struct tenths tenths = { .rows = NULL };
	for (unsigned second = 0; second < 6; second++)
		add_second(&tenths, second, second == 1 || second == 3 ? 1 : 0);
	assert_int_equal(tenths.count, 5 * ROWS);
	for (size_t i = 1; i < tenths.count; i++)
		assert_true(tenths.rows[i].at_s > tenths.rows[i - 1].at_s);
	tenths_finish(&tenths);
}

static void
a_short_row_is_joined_with_the_one_before(void **state)
{
	(void)state;
	struct tenths tenths = { .rows = NULL };
	const struct sampler_second whole = {
		.length_s = 0.1, .verified = 5, .wrong = 1
	};
	const struct sampler_second rest = {
		.at_s = 0.1, .length_s = 0.01, .verified = 2
	};
	tenths_add(&tenths, &whole);
	tenths_add(&tenths, &rest);
	tenths_end_second(&tenths);
	assert_int_equal(tenths.count, 1);
	assert_int_equal(tenths.rows[0].verified, 7);
	assert_true(tenths.rows[0].length_s > 0.109 && tenths.rows[0].length_s < 0.111);
	tenths_finish(&tenths);
}

static void
a_run_keeps_a_limited_number_of_rows(void **state)
{
	(void)state;
	struct tenths tenths = { .rows = NULL };
	for (unsigned second = 0; second < 1000; second++)
		add_second(&tenths, second, 1);
	assert_true(tenths.count <= TENTHS_MAX);
	assert_true(tenths.count > TENTHS_MAX - TENTHS_PER_SECOND);
	tenths_finish(&tenths);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_seconds_around_an_event_are_kept),
		cmocka_unit_test(without_an_event_nothing_is_kept),
		cmocka_unit_test(a_second_between_two_events_is_kept_once),
		cmocka_unit_test(a_short_row_is_joined_with_the_one_before),
		cmocka_unit_test(a_run_keeps_a_limited_number_of_rows),
	};
	return cmocka_run_group_tests_name("tenths", tests, NULL, NULL);
}
