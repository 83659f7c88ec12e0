/* outage_watch: when a period without an answer begins and ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka needs some of those above */
#include <cmocka.h>

#include "client/load/outage_watch.h"

#define MS UINT64_C(1000000)
#define HOLD (200 * MS)

struct fixture {
	struct plan plan;
	struct counters counters;
	struct load_context ctx;
	struct conn conns[2];
};

static int
set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	if (fixture == NULL)
		return -1;
	fixture->plan.hold_ns = HOLD;
	fixture->counters.outages = calloc(1, outages_bytes(4));
	if (fixture->counters.outages == NULL)
		return -1;
	fixture->counters.outages->room = 4;
	fixture->ctx = (struct load_context){ .plan = &fixture->plan,
		.counters = &fixture->counters,
		.conns = fixture->conns,
		.count = 2,
		.first = 10 };
	for (int i = 0; i < 2; i++)
		conn_state_init(&fixture->conns[i]);
	message_queue_pool_init(&fixture->ctx.message_pool);
	outage_watch_start(&fixture->ctx);
	*state = fixture;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *fixture = *state;
	outage_watch_finish(&fixture->ctx);
	message_queue_pool_finish(&fixture->ctx.message_pool);
	free(fixture->counters.outages);
	free(fixture);
	return 0;
}

static void
answer(struct fixture *fixture, uint64_t intended_ms, uint64_t arrived_ms)
{
	const struct queued_message message = { .intended_ns = intended_ms * MS };
	outage_watch_answered(
	    &fixture->ctx, &fixture->conns[1], &message, arrived_ms * MS);
}

static void
lose(struct fixture *fixture, uint64_t intended_ms)
{
	const struct queued_message message = { .intended_ns = intended_ms * MS };
	outage_watch_lost(&fixture->ctx, &fixture->conns[1], &message);
}

/* The only period, of connection 11. */
static void
assert_outage(const struct fixture *fixture, uint64_t begin_ms, uint64_t end_ms,
    enum outage_end end)
{
	const struct outages *outages = fixture->counters.outages;
	assert_int_equal(outages->count, 1);
	assert_int_equal(outages->list[0].begin_ns, begin_ms * MS);
	assert_int_equal(outages->list[0].end_ns, end_ms * MS);
	assert_int_equal(outages->list[0].connection, 11);
	assert_int_equal(outages->list[0].end, end);
}

static void
a_wait_up_to_the_limit_is_none(void **state)
{
	answer(*state, 1000, 1200);
	assert_int_equal(((struct fixture *)*state)->counters.outages->count, 0);
}

static void
a_period_begins_at_the_intended_time(void **state)
{
	answer(*state, 1000, 1001);
	answer(*state, 1100, 1400);
	assert_outage(*state, 1100, 1400, OUTAGE_ANSWERED);
}

/* Messages that were sent in the period are answered soon after its end. */
static void
messages_of_the_same_period_make_no_other(void **state)
{
	answer(*state, 1000, 1001);
	answer(*state, 1100, 1900);
	for (uint64_t intended = 1200; intended < 1900; intended += 100)
		answer(*state, intended, 1901 + intended / 1000);
	assert_outage(*state, 1100, 1900, OUTAGE_ANSWERED);
}

static void
a_period_goes_on_over_a_reconnect(void **state)
{
	struct fixture *fixture = *state;
	answer(fixture, 1000, 1001);
	lose(fixture, 1100);
	lose(fixture, 1200);
	outage_watch_reconnected(&fixture->ctx, &fixture->conns[1]);
	answer(fixture, 1350, 1360);
	assert_outage(fixture, 1100, 1360, OUTAGE_RECONNECTED);
}

static void
lose_idle_connection(struct fixture *fixture, uint64_t at_ms)
{
	fixture->ctx.times.now_ns = at_ms * MS;
	outage_watch_reconnected(&fixture->ctx, &fixture->conns[1]);
}

static void
reopen(struct fixture *fixture, uint64_t at_ms)
{
	fixture->ctx.times.now_ns = at_ms * MS;
	outage_watch_opened(&fixture->ctx, &fixture->conns[1]);
}

static void
an_idle_connection_of_an_open_loop_is_dark_from_its_loss(void **state)
{
	struct fixture *fixture = *state;
	fixture->plan.load = PLAN_OPEN;
	answer(fixture, 1000, 1001);
	lose_idle_connection(fixture, 1050);
	reopen(fixture, 1060);
	lose_idle_connection(fixture, 1070);
	reopen(fixture, 1400);
	answer(fixture, 1420, 1421);
	assert_outage(fixture, 1050, 1400, OUTAGE_RECONNECTED);
	answer(fixture, 2000, 2001);
	assert_int_equal(fixture->counters.outages->count, 1);
}

static void
an_idle_connection_that_is_replaced_at_once_is_not_dark(void **state)
{
	struct fixture *fixture = *state;
	fixture->plan.load = PLAN_OPEN;
	answer(fixture, 1000, 1001);
	lose_idle_connection(fixture, 1050);
	reopen(fixture, 1060);
	answer(fixture, 1900, 1901);
	lose_idle_connection(fixture, 1950);
	reopen(fixture, 1960);
	fixture->ctx.times.now_ns = 3000 * MS;
	outage_watch_finish(&fixture->ctx);
	assert_int_equal(fixture->counters.outages->count, 0);
}

/* However late its next message is due, also if it is lost once more before. */
static void
an_idle_connection_is_dark_until_it_is_replaced(void **state)
{
	struct fixture *fixture = *state;
	fixture->plan.load = PLAN_OPEN;
	answer(fixture, 1000, 1001);
	lose_idle_connection(fixture, 1050);
	reopen(fixture, 1550);
	lose_idle_connection(fixture, 61000);
	reopen(fixture, 61001);
	answer(fixture, 150000, 150001);
	assert_outage(fixture, 1050, 1550, OUTAGE_RECONNECTED);
}

static void
an_idle_connection_that_is_not_replaced_is_dark_to_the_end(void **state)
{
	struct fixture *fixture = *state;
	fixture->plan.load = PLAN_OPEN;
	answer(fixture, 1000, 1001);
	lose_idle_connection(fixture, 1050);
	fixture->ctx.times.now_ns = 3000 * MS;
	outage_watch_finish(&fixture->ctx);
	assert_outage(fixture, 1050, 3000, OUTAGE_OPEN);
}

static void
another_server_is_told(void **state)
{
	struct fixture *fixture = *state;
	outage_watch_server(&fixture->ctx, &fixture->conns[1], 0);
	answer(fixture, 1000, 1001);
	lose(fixture, 1100);
	outage_watch_reconnected(&fixture->ctx, &fixture->conns[1]);
	outage_watch_server(&fixture->ctx, &fixture->conns[1], 1);
	answer(fixture, 1400, 1401);
	assert_outage(fixture, 1100, 1401, OUTAGE_OTHER_SERVER);
}

static void
a_lost_connection_counts_however_short_it_waited(void **state)
{
	struct fixture *fixture = *state;
	answer(fixture, 1000, 1001);
	lose(fixture, 1100);
	fixture->ctx.times.now_ns = 1101 * MS;
	outage_watch_ended(&fixture->ctx, &fixture->conns[1], OUTAGE_LOST);
	assert_outage(fixture, 1100, 1101, OUTAGE_LOST);
}

static void
a_message_without_an_answer_at_the_end_is_an_open_period(void **state)
{
	struct fixture *fixture = *state;
	struct conn *conn = &fixture->conns[1];
	answer(fixture, 1000, 1001);
	message_queue_push(&fixture->ctx.message_pool, &conn->queue, 1100 * MS);
	fixture->ctx.times.now_ns = 1500 * MS;
	outage_watch_finish(&fixture->ctx);
	assert_outage(fixture, 1100, 1500, OUTAGE_OPEN);
}

static void
periods_of_the_warm_up_are_not_measured(void **state)
{
	struct fixture *fixture = *state;
	fixture->ctx.times.measure_ns = 1401 * MS;
	answer(fixture, 1000, 1400);
	assert_int_equal(fixture->counters.outages->count, 0);
	answer(fixture, 1100, 1900);
	assert_outage(fixture, 1400, 1900, OUTAGE_ANSWERED);
}

static void
what_the_list_cannot_hold_is_counted(void **state)
{
	struct fixture *fixture = *state;
	for (uint64_t i = 1; i <= 6; i++)
		answer(fixture, i * 1000, i * 1000 + 500);
	assert_int_equal(fixture->counters.outages->count, 4);
	assert_int_equal(fixture->counters.outages->missed, 2);
}

static struct queued_message
sent_late(uint64_t intended_ms, uint32_t late_ms)
{
	return (struct queued_message){
		.intended_ns = intended_ms * MS,
		.written_ns = (intended_ms + late_ms) * MS,
		.own_us = late_ms * 1000,
	};
}

static void
answer_late(struct fixture *fixture, uint64_t intended_ms, uint32_t late_ms,
    uint64_t arrived_ms)
{
	struct queued_message message = sent_late(intended_ms, late_ms);
	outage_watch_answered(
	    &fixture->ctx, &fixture->conns[1], &message, arrived_ms * MS);
}

static void
assert_inexact(const struct fixture *fixture, uint64_t inexact, uint64_t doubtful,
    uint64_t own_max_ms)
{
	const struct outages *outages = fixture->counters.outages;
	assert_int_equal(outages->inexact, inexact);
	assert_int_equal(outages->doubtful, doubtful);
	assert_int_equal(outages->own_max_ns, own_max_ms * MS);
}

static void
a_message_sent_late_makes_the_begin_uncertain(void **state)
{
	struct fixture *fixture = *state;
	answer_late(fixture, 1000, 0, 1001);
	answer_late(fixture, 1100, 2, 1400);
	assert_inexact(fixture, 0, 0, 2);
	answer_late(fixture, 1500, 30, 1800);
	assert_inexact(fixture, 1, 0, 30);
	answer_late(fixture, 2000, 200, 2201);
	assert_inexact(fixture, 2, 1, 200);
	/* The second message of a period does not begin it. */
	answer_late(fixture, 3000, 0, 3500);
	answer_late(fixture, 3100, 40, 3900);
	assert_inexact(fixture, 2, 1, 200);
}

static void
a_lost_message_sent_late_makes_the_begin_uncertain(void **state)
{
	struct fixture *fixture = *state;
	struct queued_message message = sent_late(1100, 20);
	answer_late(fixture, 1000, 0, 1001);
	outage_watch_lost(&fixture->ctx, &fixture->conns[1], &message);
	lose(fixture, 1200);
	outage_watch_reconnected(&fixture->ctx, &fixture->conns[1]);
	answer_late(fixture, 1350, 0, 1360);
	assert_outage(fixture, 1100, 1360, OUTAGE_RECONNECTED);
	assert_inexact(fixture, 1, 0, 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_wait_up_to_the_limit_is_none),
		TEST(a_period_begins_at_the_intended_time),
		TEST(messages_of_the_same_period_make_no_other),
		TEST(a_period_goes_on_over_a_reconnect),
		TEST(an_idle_connection_of_an_open_loop_is_dark_from_its_loss),
		TEST(an_idle_connection_that_is_replaced_at_once_is_not_dark),
		TEST(an_idle_connection_is_dark_until_it_is_replaced),
		TEST(an_idle_connection_that_is_not_replaced_is_dark_to_the_end),
		TEST(another_server_is_told),
		TEST(a_lost_connection_counts_however_short_it_waited),
		TEST(a_message_without_an_answer_at_the_end_is_an_open_period),
		TEST(periods_of_the_warm_up_are_not_measured),
		TEST(what_the_list_cannot_hold_is_counted),
		TEST(a_message_sent_late_makes_the_begin_uncertain),
		TEST(a_lost_message_sent_late_makes_the_begin_uncertain),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
