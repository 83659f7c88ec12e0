#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka needs some of those above */
#include <cmocka.h>

#include "client/flight.h"
#include "client/payload.h"
#include "client/wheel.h"

#define MS WHEEL_TICK_NS
#define TIMERS 1000

static void
every_timer_fires_once_late_by_at_most_a_tick(void **state)
{
	struct wheel wheel;
	uint64_t now = 123456789, deadlines[TIMERS];
	uint32_t fired = 0, timer;

	(void)state;
	assert_int_equal(wheel_init(&wheel, TIMERS, now), 0);
	for (uint32_t i = 0; i < TIMERS; i++) {
		/* Up to 10 s: more than two turns of the wheel. */
		deadlines[i] = now + payload_size(1, 1, i, 0, 10000 * MS);
		wheel_set(&wheel, i, deadlines[i]);
	}
	while (wheel_next(&wheel) != WHEEL_NEVER) {
		uint64_t next = wheel_next(&wheel);
		now = next > now ? next : now;
		while (wheel_expire(&wheel, now, &timer)) {
			assert_true(deadlines[timer] <= now);
			assert_true(now <= deadlines[timer] + 2 * MS);
			deadlines[timer] = UINT64_MAX;
			fired++;
		}
	}
	assert_int_equal(fired, TIMERS);
	wheel_finish(&wheel);
}

static void
a_cleared_timer_does_not_fire_and_a_moved_one_fires_later(void **state)
{
	struct wheel wheel;
	uint32_t timer;

	(void)state;
	assert_int_equal(wheel_init(&wheel, 3, 0), 0);
	wheel_set(&wheel, 0, 5 * MS);
	wheel_set(&wheel, 1, 5 * MS);
	wheel_set(&wheel, 2, 5 * MS);
	wheel_clear(&wheel, 0);
	wheel_set(&wheel, 1, 9 * MS);
	assert_true(wheel_deadline(&wheel, 0) == WHEEL_NEVER);
	assert_true(wheel_deadline(&wheel, 1) == 9 * MS);
	assert_true(wheel_expire(&wheel, 7 * MS, &timer));
	assert_int_equal(timer, 2);
	assert_false(wheel_expire(&wheel, 7 * MS, &timer));
	assert_true(wheel_expire(&wheel, 11 * MS, &timer));
	assert_int_equal(timer, 1);
	assert_false(wheel_expire(&wheel, 11 * MS, &timer));
	assert_true(wheel_next(&wheel) == WHEEL_NEVER);
	wheel_finish(&wheel);
}

static void
a_deadline_that_is_over_fires_at_the_next_turn_not_at_once_again(void **state)
{
	struct wheel wheel;
	uint32_t timer;

	(void)state;
	assert_int_equal(wheel_init(&wheel, 1, 100 * MS), 0);
	assert_false(wheel_expire(&wheel, 200 * MS, &timer));
	wheel_set(&wheel, 0, 50 * MS);
	assert_true(wheel_next(&wheel) <= 202 * MS);
	assert_true(wheel_expire(&wheel, 202 * MS, &timer));
	assert_false(wheel_expire(&wheel, 202 * MS, &timer));
	wheel_finish(&wheel);
}

static void
a_timer_far_away_does_not_keep_the_loop_awake(void **state)
{
	struct wheel wheel;
	uint64_t now = 0;
	uint32_t timer, turns = 0;

	(void)state;
	assert_int_equal(wheel_init(&wheel, 1, now), 0);
	wheel_set(&wheel, 0, 60000 * MS);
	while (!wheel_expire(&wheel, now, &timer)) {
		uint64_t next = wheel_next(&wheel);
		assert_true(next > now);
		now = next;
		turns++;
	}
	assert_in_range(turns, 1, 60000 / WHEEL_SLOTS + 2);
	wheel_finish(&wheel);
}

static void
a_long_sleep_loses_no_timer(void **state)
{
	struct wheel wheel;
	uint32_t timer, fired = 0;

	(void)state;
	assert_int_equal(wheel_init(&wheel, TIMERS, 0), 0);
	for (uint32_t i = 0; i < TIMERS; i++)
		wheel_set(&wheel, i, (1 + i * 13) * MS);
	while (wheel_expire(&wheel, 3600000 * MS, &timer))
		fired++;
	assert_int_equal(fired, TIMERS);
	wheel_finish(&wheel);
}

static void
flights_leave_a_queue_in_the_order_they_came(void **state)
{
	struct flights flights;
	struct flight_queue queues[2];

	(void)state;
	flights_init(&flights);
	flight_queue_init(&queues[0]);
	flight_queue_init(&queues[1]);
	for (uint64_t i = 0; i < 500; i++)
		assert_int_equal(flight_push(&flights, &queues[i % 2], i), 0);
	assert_int_equal(queues[0].unwritten, queues[0].head);
	flight_write(&flights, &queues[0], 77);
	assert_true(flight_at(&flights, queues[0].head)->written_ns == 77);
	for (uint64_t i = 0; i < 500; i++) {
		struct flight flight = flight_pop(&flights, &queues[i % 2]);
		assert_true(flight.intended_ns == i);
	}
	assert_int_equal(queues[0].head, FLIGHT_NONE);
	assert_int_equal(queues[0].unwritten, FLIGHT_NONE);
	/* What was given back is used again. */
	for (uint64_t i = 0; i < 500; i++)
		assert_int_equal(flight_push(&flights, &queues[0], i), 0);
	assert_int_equal(flights.count, 500);
	flights_finish(&flights);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_timer_fires_once_late_by_at_most_a_tick),
		cmocka_unit_test(
		    a_cleared_timer_does_not_fire_and_a_moved_one_fires_later),
		cmocka_unit_test(
		    a_deadline_that_is_over_fires_at_the_next_turn_not_at_once_again),
		cmocka_unit_test(a_timer_far_away_does_not_keep_the_loop_awake),
		cmocka_unit_test(a_long_sleep_loses_no_timer),
		cmocka_unit_test(flights_leave_a_queue_in_the_order_they_came),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
