#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka needs some of the above */
#include <cmocka.h>

#include "proto/payload.h"
#include "client/schedule/message_queue.h"
#include "client/schedule/timer_wheel.h"

#define MS TIMER_WHEEL_TICK_NS
#define TIMERS 1000

static void
every_timer_expires_once_and_at_most_two_ticks_late(void **state)
{
	struct timer_wheel timer_wheel;
	uint64_t now = 123456789, deadlines[TIMERS];
	uint32_t fired = 0, timer;

	(void)state;
	timer_wheel_init(&timer_wheel, TIMERS, now);
	for (uint32_t i = 0; i < TIMERS; i++) {
		/* Up to 10 s: more than two turns of the wheel. */
		deadlines[i] = now + payload_size(1, 1, i, 0, 10000 * MS);
		timer_wheel_set(&timer_wheel, i, deadlines[i]);
	}
	while (timer_wheel_next(&timer_wheel) != TIMER_WHEEL_NEVER) {
		uint64_t next = timer_wheel_next(&timer_wheel);
		now = next > now ? next : now;
		while (timer_wheel_expire(&timer_wheel, now, &timer)) {
			assert_true(deadlines[timer] <= now);
			assert_true(now <= deadlines[timer] + 2 * MS);
			deadlines[timer] = UINT64_MAX;
			fired++;
		}
	}
	assert_int_equal(fired, TIMERS);
	timer_wheel_finish(&timer_wheel);
}

static void
a_cleared_timer_does_not_expire_and_a_moved_one_expires_later(void **state)
{
	struct timer_wheel timer_wheel;
	uint32_t timer;

	(void)state;
	timer_wheel_init(&timer_wheel, 3, 0);
	timer_wheel_set(&timer_wheel, 0, 5 * MS);
	timer_wheel_set(&timer_wheel, 1, 5 * MS);
	timer_wheel_set(&timer_wheel, 2, 5 * MS);
	timer_wheel_clear(&timer_wheel, 0);
	timer_wheel_set(&timer_wheel, 1, 9 * MS);
	assert_true(timer_wheel_deadline(&timer_wheel, 0) == TIMER_WHEEL_NEVER);
	assert_true(timer_wheel_deadline(&timer_wheel, 1) == 9 * MS);
	assert_true(timer_wheel_expire(&timer_wheel, 7 * MS, &timer));
	assert_int_equal(timer, 2);
	assert_false(timer_wheel_expire(&timer_wheel, 7 * MS, &timer));
	assert_true(timer_wheel_expire(&timer_wheel, 11 * MS, &timer));
	assert_int_equal(timer, 1);
	assert_false(timer_wheel_expire(&timer_wheel, 11 * MS, &timer));
	assert_true(timer_wheel_next(&timer_wheel) == TIMER_WHEEL_NEVER);
	timer_wheel_finish(&timer_wheel);
}

static void
a_past_deadline_expires_in_the_next_turn(void **state)
{
	struct timer_wheel timer_wheel;
	uint32_t timer;

	(void)state;
	timer_wheel_init(&timer_wheel, 1, 100 * MS);
	assert_false(timer_wheel_expire(&timer_wheel, 200 * MS, &timer));
	timer_wheel_set(&timer_wheel, 0, 50 * MS);
	assert_true(timer_wheel_next(&timer_wheel) <= 202 * MS);
	assert_true(timer_wheel_expire(&timer_wheel, 202 * MS, &timer));
	assert_false(timer_wheel_expire(&timer_wheel, 202 * MS, &timer));
	timer_wheel_finish(&timer_wheel);
}

static void
a_timer_far_away_does_not_keep_the_loop_awake(void **state)
{
	struct timer_wheel timer_wheel;
	uint64_t now = 0;
	uint32_t timer, turns = 0;

	(void)state;
	timer_wheel_init(&timer_wheel, 1, now);
	timer_wheel_set(&timer_wheel, 0, 60000 * MS);
	while (!timer_wheel_expire(&timer_wheel, now, &timer)) {
		uint64_t next = timer_wheel_next(&timer_wheel);
		assert_true(next > now);
		now = next;
		turns++;
	}
	assert_in_range(turns, 1, 60000 / TIMER_WHEEL_SLOTS + 2);
	timer_wheel_finish(&timer_wheel);
}

static void
a_long_sleep_loses_no_timer(void **state)
{
	struct timer_wheel timer_wheel;
	uint32_t timer, fired = 0;

	(void)state;
	timer_wheel_init(&timer_wheel, TIMERS, 0);
	for (uint32_t i = 0; i < TIMERS; i++)
		timer_wheel_set(&timer_wheel, i, (1 + i * 13) * MS);
	while (timer_wheel_expire(&timer_wheel, 3600000 * MS, &timer))
		fired++;
	assert_int_equal(fired, TIMERS);
	timer_wheel_finish(&timer_wheel);
}

static void
messages_in_flight_leave_the_queue_in_order(void **state)
{
	struct message_pool message_pool;
	struct message_queue queues[2];

	(void)state;
	message_queue_pool_init(&message_pool);
	message_queue_init(&queues[0]);
	message_queue_init(&queues[1]);
	for (uint64_t i = 0; i < 500; i++)
		message_queue_push(&message_pool, &queues[i % 2], i);
	assert_int_equal(queues[0].unwritten, queues[0].head);
	message_queue_mark_written(&message_pool, &queues[0], 77);
	assert_true(message_queue_at(&message_pool, queues[0].head)->written_ns == 77);
	for (uint64_t i = 0; i < 500; i++) {
		struct queued_message queued_message =
		    message_queue_pop(&message_pool, &queues[i % 2]);
		assert_true(queued_message.intended_ns == i);
	}
	assert_int_equal(queues[0].head, MESSAGE_QUEUE_NONE);
	assert_int_equal(queues[0].unwritten, MESSAGE_QUEUE_NONE);
	/* Freed records are reused. */
	for (uint64_t i = 0; i < 500; i++)
		message_queue_push(&message_pool, &queues[0], i);
	assert_int_equal(message_pool.count, 500);
	message_queue_pool_finish(&message_pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_timer_expires_once_and_at_most_two_ticks_late),
		cmocka_unit_test(
		    a_cleared_timer_does_not_expire_and_a_moved_one_expires_later),
		cmocka_unit_test(a_past_deadline_expires_in_the_next_turn),
		cmocka_unit_test(a_timer_far_away_does_not_keep_the_loop_awake),
		cmocka_unit_test(a_long_sleep_loses_no_timer),
		cmocka_unit_test(messages_in_flight_leave_the_queue_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
