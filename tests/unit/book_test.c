#include "client/load/accounting.h"
#include "client/load/conn_close.h"
#include "tests/lib/one_caller.h"

#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)

static const struct histogram *
histogram_of(const struct rig *rig, enum latency_kind which)
{
	return rig->generator.counters->histograms[which];
}

/* A message that was due so long ago. */
static void
send_late(struct rig *rig, uint64_t late_ns)
{
	struct generator *g = &rig->generator;

	g->now_ns = generator_clock();
	assert_true(conn_schedule(g, &rig->conn, g->now_ns - late_ns));
	conn_advance(g, &rig->conn);
}

static void
lose(struct rig *rig, enum message_loss loss)
{
	rig->generator.now_ns = generator_clock();
	conn_close_lost(&rig->generator, &rig->conn, loss);
	peer_closes(rig);
}

static void
an_answer_is_timed_from_when_it_was_due_and_from_when_it_was_written(void **state)
{
	struct rig *rig = *state;
	const struct counters *counters = rig->generator.counters;

	connect_both(rig);
	send_late(rig, MS);
	assert_true(counters_get(&counters->messages_late) == 0);
	send_late(rig, MS + 1);
	assert_true(counters_get(&counters->messages_late) == 1);
	assert_true(histogram_max(histogram_of(rig, LATENCY_SEND_LAG)) == MS + 1);
	assert_true(counters_get(&counters->messages_due) == 2);
	peer_reads(rig, 2 * strlen(MESSAGE));
	peer_answers(rig, 2);
	while (rig->conn.in_flight > 0)
		turn(rig);
	assert_true(histogram_count(histogram_of(rig, LATENCY_RESPONSE)) == 2);
	assert_true(histogram_max(histogram_of(rig, LATENCY_RESPONSE)) >=
	    histogram_max(histogram_of(rig, LATENCY_SERVICE)) + MS);
}

static void
the_warm_up_is_in_no_figure(void **state)
{
	struct rig *rig = *state;
	const struct counters *counters = rig->generator.counters;

	connect_both(rig);
	rig->generator.measure_ns = UINT64_MAX;
	send_late(rig, 5 * MS);
	peer_reads(rig, strlen(MESSAGE));
	peer_answers(rig, 1);
	turn(rig);
	send_late(rig, 5 * MS);
	lose(rig, MESSAGE_LOSS_RESET);
	assert_true(counters_get(&counters->warmup.sent) == 2);
	assert_true(counters_get(&counters->warmup.verified) == 1);
	assert_true(counters_get(&counters->warmup.lost[MESSAGE_LOSS_RESET]) == 1);
	assert_true(counters_get(&counters->warmup.in_flight) == 0);
	assert_true(counters_get(&counters->messages.sent) == 0);
	assert_true(counters_get(&counters->messages_due) == 0);
	assert_true(counters_get(&counters->messages_late) == 0);
	assert_true(counters_get(&counters->oldest_lost_ns) == 0);
	assert_true(histogram_count(histogram_of(rig, LATENCY_RESPONSE)) == 0);
	assert_true(histogram_count(histogram_of(rig, LATENCY_SEND_LAG)) == 0);
	assert_true(histogram_count(histogram_of(rig, LATENCY_AGE)) == 0);
}

static void
a_wrong_answer_is_in_no_latency(void **state)
{
	struct rig *rig = *state;

	connect_both(rig);
	send_messages(rig, 1);
	peer_reads(rig, strlen(MESSAGE));
	assert_int_equal(send(rig->peer, "HELLX", 5, 0), 5);
	while (rig->conn.in_flight > 0)
		turn(rig);
	assert_true(counters_get(&rig->generator.counters->messages.wrong) == 1);
	assert_true(histogram_count(histogram_of(rig, LATENCY_RESPONSE)) == 0);
	assert_true(histogram_count(histogram_of(rig, LATENCY_SERVICE)) == 0);
}

static void
of_what_was_lost_an_answer_that_began_wrong_is_wrong(void **state)
{
	struct rig *rig = *state;
	const struct counters *counters = rig->generator.counters;

	connect_both(rig);
	send_messages(rig, 3);
	peer_reads(rig, 3 * strlen(MESSAGE));
	assert_int_equal(send(rig->peer, "X", 1, 0), 1);
	peer_closes_and_is_heard(rig);
	assert_true(counters_get(&counters->messages.wrong) == 1);
	assert_true(counters_get(&counters->messages.lost[MESSAGE_LOSS_CLOSED]) == 2);
	assert_true(counters_get(&counters->connections_open) == 0);
}

static void
the_oldest_of_all_that_was_lost_is_told(void **state)
{
	struct rig *rig = *state;

	connect_both(rig);
	send_late(rig, 50 * MS);
	send_late(rig, 10 * MS);
	lose(rig, MESSAGE_LOSS_RESET);
	assert_true(histogram_count(histogram_of(rig, LATENCY_AGE)) == 2);
	assert_true(counters_get(&rig->generator.counters->oldest_lost_ns) >= 50 * MS);
}

static void
the_next_connection_begins_behind_a_message_that_was_cut(void **state)
{
	struct rig *rig = *state;

	rig->plan.dribble = true;
	connect_both(rig);
	send_messages(rig, 1);
	assert_int_equal(rig->conn.send.at, 1);
	lose(rig, MESSAGE_LOSS_RESET);
	assert_int_equal(rig->conn.send.message, 1);
	assert_int_equal(rig->conn.send.at, 0);
	assert_int_equal(rig->conn.answers.cursor.message, 1);
}

/* Makes two due that are not sent, of which one was refused, and loses the socket. */
static void
lose_two_due(struct rig *rig)
{
	struct generator *g = &rig->generator;

	connect_both(rig);
	for (int i = 0; i < 2; i++)
		assert_true(conn_schedule(g, &rig->conn, g->now_ns));
	message_queue_at(&g->message_pool, rig->conn.queue.head)->written_ns =
	    g->now_ns;
	lose(rig, MESSAGE_LOSS_RESET);
}

static void
what_a_schedule_made_due_stays_due_for_the_next_connection(void **state)
{
	struct rig *rig = *state;

	lose_two_due(rig);
	assert_int_equal(rig->conn.due, 2);
	assert_int_equal(rig->conn.scheduled, 2);
	const struct queued_message *first =
	    message_queue_at(&rig->generator.message_pool, rig->conn.queue.head);
	assert_true(first->written_ns == 0);
}

static void
what_a_closed_loop_made_due_is_made_due_anew(void **state)
{
	struct rig *rig = *state;

	rig->plan.load = PLAN_CLOSED;
	rig->generator.is_running = false;
	lose_two_due(rig);
	assert_int_equal(rig->conn.due, 0);
	assert_int_equal(rig->conn.scheduled, 0);
}

/* How long it waits before it calls again, when it has lasted so long. */
static uint64_t
delay_after_loss(struct rig *rig, uint64_t age_ns)
{
	struct generator *g = &rig->generator;

	connect_both(rig);
	g->now_ns = rig->conn.state_since_ns + age_ns;
	conn_close_lost(g, &rig->conn, MESSAGE_LOSS_RESET);
	peer_closes(rig);
	assert_int_equal(rig->conn.state, CONN_WAITING);
	if (g->connect_queue.count > 0) {
		generator_dequeue_connect(g);
		return 0;
	}
	return timer_wheel_deadline(&g->timer_wheel, 0) - g->now_ns;
}

static void
who_is_lost_soon_and_again_waits_longer_and_longer(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(delay_after_loss(rig, 0), 0);
	assert_int_equal(delay_after_loss(rig, 0), 20 * MS);
	assert_int_equal(delay_after_loss(rig, 0), 40 * MS);
	/* Not who has lasted, or was answered. */
	assert_int_equal(delay_after_loss(rig, SECOND - 1), 80 * MS);
	assert_int_equal(delay_after_loss(rig, SECOND), 0);
	assert_int_equal(delay_after_loss(rig, 0), 20 * MS);
	connect_both(rig);
	send_messages(rig, 1);
	peer_reads(rig, strlen(MESSAGE));
	peer_answers(rig, 1);
	turn(rig);
	lose(rig, MESSAGE_LOSS_RESET);
	assert_int_equal(rig->generator.connect_queue.count, 1);
}

static void
the_next_connection_knows_nothing_of_the_last(void **state)
{
	struct rig *rig = *state;
	const struct counters *counters = rig->generator.counters;

	connect_both(rig);
	lose(rig, MESSAGE_LOSS_RESET);
	rig->conn.sent_on_connection = 5;
	rig->conn.expires = rig->conn.is_write_shut = rig->conn.is_paused = true;
	rig->conn.received_ns = 7;
	generator_dequeue_connect(&rig->generator);
	connect_both(rig);
	assert_int_equal(rig->conn.sent_on_connection, 0);
	assert_false(rig->conn.expires || rig->conn.is_write_shut);
	assert_false(rig->conn.is_paused);
	assert_true(rig->conn.received_ns == rig->conn.state_since_ns);
	assert_true(counters_get(&counters->connections_established) == 2);
	assert_true(counters_get(&counters->connections_first) == 1);
	assert_true(counters_get(&counters->reconnects) == 1);
	assert_true(counters_get(&counters->connections_open) == 1);
}

static void
a_lost_connection_is_noted_with_its_silence_and_only_the_first_are(void **state)
{
	struct rig *rig = *state;
	const struct counters *counters = rig->generator.counters;

	for (int i = 0; i < COUNTERS_LOST_MAX + 2; i++) {
		connect_both(rig);
		rig->generator.now_ns = generator_clock();
		rig->conn.received_ns = rig->generator.now_ns - 3 * MS;
		rig->conn.state_since_ns = rig->generator.now_ns - 5 * MS;
		conn_close_lost(&rig->generator, &rig->conn, MESSAGE_LOSS_RESET);
		peer_closes(rig);
		generator_dequeue_connect(&rig->generator);
	}
	assert_int_equal(counters->lost_connections, COUNTERS_LOST_MAX);
	assert_true(counters->lost_connection[0].silent_ns == 3 * MS);
	assert_true(counters_get(&counters->connections_lost) == COUNTERS_LOST_MAX + 2);
	assert_true(
	    counters_get(&counters->connections_reset) == COUNTERS_LOST_MAX + 2);
}

static void
no_more_are_in_flight_than_the_pipeline_holds(void **state)
{
	struct rig *rig = *state;

	connect_both(rig);
	send_messages(rig, 6);
	send_messages(rig, 6);
	assert_int_equal(rig->conn.in_flight, 8);
	assert_int_equal(rig->conn.due, 4);
}

static void
the_timer_is_set_to_what_comes_first(void **state)
{
	struct rig *rig = *state;
	struct generator *g = &rig->generator;

	connect_both(rig);
	send_messages(rig, 1);
	uint64_t written_ns = g->now_ns, state_since_ns = rig->conn.state_since_ns;
	rig->plan.timeout_ns = 10 * SECOND;
	conn_set_timer(g, &rig->conn);
	assert_true(
	    timer_wheel_deadline(&g->timer_wheel, 0) == written_ns + 10 * SECOND);
	rig->plan.lifetime_ns = SECOND;
	conn_set_timer(g, &rig->conn);
	assert_true(
	    timer_wheel_deadline(&g->timer_wheel, 0) == state_since_ns + SECOND);
}

static void
only_what_had_not_come_by_then_is_late(void **state)
{
	struct rig *rig = *state;
	struct generator *g = &rig->generator;

	connect_both(rig);
	send_messages(rig, 1);
	uint64_t late_ns = g->now_ns + rig->plan.timeout_ns;
	g->now_ns = late_ns + SECOND;
	g->received_ns = late_ns - 1;
	conn_on_timer(g, &rig->conn);
	assert_int_equal(rig->conn.state, CONN_OPEN);
	g->received_ns = late_ns;
	conn_on_timer(g, &rig->conn);
	assert_int_equal(rig->conn.state, CONN_WAITING);
	assert_true(
	    counters_get(&g->counters->messages.lost[MESSAGE_LOSS_TIMEOUT]) == 1);
}

/* It takes nothing: timed from its first refusal on, however often it is asked. */
static void
who_takes_nothing_is_late_from_the_first_refusal_on(void **state)
{
	static const uint8_t junk[65536];
	struct rig *rig = *state;
	struct generator *g = &rig->generator;
	int full[2];

	connect_both(rig);
	/* One that stays full: what waits in TCP may be taken a moment later. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, full), 0);
	while (send(full[0], junk, sizeof(junk), 0) > 0)
		;
	assert_int_equal(dup2(full[0], rig->conn.fd), rig->conn.fd);
	send_late(rig, 0);
	uint64_t refused_ns = g->now_ns;
	assert_int_equal(rig->conn.in_flight, 0);
	g->now_ns += SECOND;
	conn_advance(g, &rig->conn);
	const struct queued_message *first =
	    message_queue_at(&g->message_pool, rig->conn.queue.head);
	assert_true(first->written_ns == refused_ns);
	assert_true(timer_wheel_deadline(&g->timer_wheel, 0) ==
	    refused_ns + rig->plan.timeout_ns);
	close(full[0]);
	close(full[1]);
}

static void
a_call_that_failed_at_each_address_begins_at_the_first_again(void **state)
{
	struct rig *rig = *state;
	struct plan_target *target = &rig->plan.targets[0];
	const struct counters *counters = rig->generator.counters;
	struct sockaddr_in *mute = (void *)&target->addresses[0].storage;
	socklen_t length = sizeof(*mute);
	int bound = socket(AF_INET, SOCK_STREAM, 0);

	/* Nobody listens there. */
	mute->sin_port = 0;
	assert_int_equal(bind(bound, (void *)mute, length), 0);
	assert_int_equal(getsockname(bound, (void *)mute, &length), 0);
	target->addresses[1] = target->addresses[0];
	target->address_count = 2;
	call(rig);
	while (rig->conn.state == CONN_CONNECTING)
		turn(rig);
	assert_int_equal(rig->conn.state, CONN_DONE);
	assert_int_equal(rig->conn.address, 0);
	assert_true(counters_get(&counters->connections_attempted) == 1);
	assert_true(
	    counters_get(&counters->connections_failed[CONNECT_FAILURE_REFUSED]) == 1);
	close(bound);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define RUN(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		RUN(an_answer_is_timed_from_when_it_was_due_and_from_when_it_was_written),
		RUN(the_warm_up_is_in_no_figure),
		RUN(a_wrong_answer_is_in_no_latency),
		RUN(of_what_was_lost_an_answer_that_began_wrong_is_wrong),
		RUN(the_oldest_of_all_that_was_lost_is_told),
		RUN(the_next_connection_begins_behind_a_message_that_was_cut),
		RUN(what_a_schedule_made_due_stays_due_for_the_next_connection),
		RUN(what_a_closed_loop_made_due_is_made_due_anew),
		RUN(who_is_lost_soon_and_again_waits_longer_and_longer),
		RUN(the_next_connection_knows_nothing_of_the_last),
		RUN(a_lost_connection_is_noted_with_its_silence_and_only_the_first_are),
		RUN(no_more_are_in_flight_than_the_pipeline_holds),
		RUN(the_timer_is_set_to_what_comes_first),
		RUN(only_what_had_not_come_by_then_is_late),
		RUN(who_takes_nothing_is_late_from_the_first_refusal_on),
		RUN(a_call_that_failed_at_each_address_begins_at_the_first_again),
#undef RUN
	};

	return cmocka_run_group_tests_name("book", tests, NULL, NULL);
}
