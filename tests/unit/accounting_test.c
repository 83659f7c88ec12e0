#include "lib/clock.h"
#include "net/receive_time.h"
#include "client/load/accounting.h"
#include "tests/lib/conn_fixture.h"

#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)

static const struct histogram *
histogram_of(const struct conn_fixture *fixture, enum latency_kind which)
{
	return fixture->ctx.counters->histograms[which];
}

/* Sends a message that was due `late_ns` ago. */
static void
send_late(struct conn_fixture *fixture, uint64_t late_ns)
{
	struct load_context *g = &fixture->ctx;

	fixture->conn.ready_ns = 0; /* for a long time */
	g->times.now_ns = clock_now_ns();
	assert_true(conn_state_schedule(g, &fixture->conn, g->times.now_ns - late_ns));
	conn_advance(g, &fixture->conn);
}

static void
lose(struct conn_fixture *fixture)
{
	fixture->ctx.times.now_ns = clock_now_ns();
	conn_close(&fixture->ctx, &fixture->conn, CONN_CLOSE_RESET);
	peer_closes(fixture);
}

static void
an_answer_is_timed_from_its_due_time_and_from_its_send(void **state)
{
	struct conn_fixture *fixture = *state;
	const struct counters *counters = fixture->ctx.counters;

	connect_both(fixture);
	send_late(fixture, MS);
	assert_true(counters_get(&counters->messages_late) == 0);
	send_late(fixture, MS + 1);
	assert_true(counters_get(&counters->messages_late) == 1);
	assert_true(histogram_max(histogram_of(fixture, LATENCY_SEND_LAG)) == MS + 1);
	assert_true(counters_get(&counters->messages_due) == 2);
	peer_reads(fixture, 2 * strlen(MESSAGE));
	peer_answers(fixture, 2);
	while (fixture->conn.in_flight > 0)
		run_once(fixture);
	assert_true(histogram_count(histogram_of(fixture, LATENCY_RESPONSE)) == 2);
	assert_true(histogram_max(histogram_of(fixture, LATENCY_RESPONSE)) >=
	    histogram_max(histogram_of(fixture, LATENCY_SERVICE)) + MS);
}

/* Payloads of 8 bytes, which are sent and compared many at once. */
static void
use_uniform_messages(struct conn_fixture *fixture)
{
	char text[PLAN_ERROR_MAX];

	expectation_close(&fixture->expectation);
	sequence_close(&fixture->sequence);
	fixture->plan.payload = true;
	fixture->plan.size_min = fixture->plan.size_max = 8;
	fixture->plan.reply.kind = REPLY_ECHO;
	assert_int_equal(sequence_open(&fixture->plan, &fixture->sequence, text), 0);
	assert_true(fixture->sequence.is_uniform);
	expectation_open(&fixture->plan, &fixture->sequence, &fixture->expectation);
}

/* Three messages are due since 2 ms and two now: all are sent by one call. The answers
 * to four of them and a half are read by one call. */
static void
messages_sent_and_answered_at_once_are_timed_and_counted_each(void **state)
{
	struct conn_fixture *fixture = *state;
	struct load_context *g = &fixture->ctx;
	const struct counters_messages *m = &g->counters->messages;
	const struct histogram *response = histogram_of(fixture, LATENCY_RESPONSE);
	uint8_t bytes[40];

	use_uniform_messages(fixture);
	connect_both(fixture);
	fixture->conn.ready_ns = 0; /* for a long time */
	g->times.now_ns = clock_now_ns();
	conn_state_schedule_many(g, &fixture->conn, g->times.now_ns - 2 * MS, 3);
	conn_state_schedule_many(g, &fixture->conn, g->times.now_ns, 2);
	conn_advance(g, &fixture->conn);
	assert_int_equal(counters_get(&g->counters->messages_due), 5);
	assert_int_equal(counters_get(&m->sent), 5);
	assert_int_equal(counters_get(&g->counters->messages_late), 3);
	assert_int_equal(histogram_count(histogram_of(fixture, LATENCY_SEND_LAG)), 5);
	assert_true(histogram_min(histogram_of(fixture, LATENCY_SEND_LAG)) == 0);
	assert_int_equal(recv(fixture->peer, bytes, 40, MSG_WAITALL), 40);
	assert_int_equal(send(fixture->peer, bytes, 36, 0), 36);
	run_once(fixture);
	assert_int_equal(counters_get(&m->verified), 4);
	assert_int_equal(histogram_count(response), 4);
	assert_true(histogram_max(response) - histogram_min(response) == 2 * MS);
	peer_closes_and_conn_notices(fixture);
	assert_int_equal(counters_get(&m->wrong), 0);
	assert_int_equal(counters_lost(m), 1);
	assert_int_equal(histogram_count(histogram_of(fixture, LATENCY_AGE)), 1);
}

/* The wait for a free slot is not this client's lateness. */
static void
a_message_is_late_from_when_the_connection_could_take_it(void **state)
{
	struct conn_fixture *fixture = *state;
	struct load_context *g = &fixture->ctx;
	const struct counters *counters = g->counters;

	fixture->plan.pipeline = 1;
	connect_both(fixture);
	send_late(fixture, 0);
	assert_true(conn_state_schedule(g, &fixture->conn, g->times.now_ns - 50 * MS));
	peer_reads(fixture, strlen(MESSAGE));
	peer_answers(fixture, 1);
	run_once(fixture);
	assert_int_equal(counters_get(&counters->messages.sent), 2);
	assert_true(counters_get(&counters->messages_late) == 0);
	assert_true(histogram_max(histogram_of(fixture, LATENCY_BLOCKED)) >= 50 * MS);
	assert_true(histogram_max(histogram_of(fixture, LATENCY_SEND_LAG)) < 50 * MS);
}

/* Without answers none waits for a slot: all of them are this client's lateness. */
static void
messages_without_answers_are_all_late(void **state)
{
	struct conn_fixture *fixture = *state;
	struct load_context *g = &fixture->ctx;

	fixture->plan.pipeline = 1;
	fixture->expectation.none = true;
	connect_both(fixture);
	fixture->conn.ready_ns = 0; /* for a long time */
	for (int i = 0; i < 3; i++)
		assert_true(
		    conn_state_schedule(g, &fixture->conn, g->times.now_ns - 50 * MS));
	conn_advance(g, &fixture->conn);
	assert_int_equal(counters_get(&g->counters->messages.sent), 3);
	assert_int_equal(counters_get(&g->counters->messages_late), 3);
	assert_true(histogram_max(histogram_of(fixture, LATENCY_BLOCKED)) == 0);
}

static void
a_message_that_waits_for_a_connection_is_blocked(void **state)
{
	struct conn_fixture *fixture = *state;
	struct load_context *g = &fixture->ctx;

	connect_both(fixture);
	lose(fixture);
	conn_state_dequeue_connect(g);
	assert_true(conn_state_schedule(g, &fixture->conn, g->times.now_ns - 70 * MS));
	connect_both(fixture);
	assert_int_equal(counters_get(&g->counters->messages.sent), 1);
	assert_true(histogram_min(histogram_of(fixture, LATENCY_BLOCKED)) >= 70 * MS);
	assert_true(histogram_max(histogram_of(fixture, LATENCY_SEND_LAG)) < 70 * MS);
}

/* The kernel switches its time stamps on a while after the first socket asked for them
 * (net_enable_timestamp defers the work): until then arrivals are not noted. */
static void
wait_for_time_stamps(struct conn_fixture *fixture)
{
	uint64_t end_ns = clock_now_ns() + 30 * SECOND, waited_ns;
	char byte;
	int pair[2];

	pair[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(
	    connect(pair[0], (void *)&fixture->plan.targets[0].addresses[0].storage,
		fixture->plan.targets[0].addresses[0].length),
	    0);
	pair[1] = accept(fixture->listener, NULL, NULL);
	assert_int_equal(receive_time_enable(pair[1]), 0);
	do {
		assert_int_equal(send(pair[0], "x", 1, 0), 1);
		assert_int_equal(receive_time_recv(pair[1], &byte, 1, &waited_ns), 1);
	} while (waited_ns == RECEIVE_TIME_UNKNOWN && clock_now_ns() < end_ns);
	assert_true(waited_ns != RECEIVE_TIME_UNKNOWN);
	close(pair[0]);
	close(pair[1]);
}

/* Response = blocked + send_lag + service, for each message. */
static void
own_delay_is_what_the_response_contains_of_this_client(void **state)
{
	struct conn_fixture *fixture = *state;
	struct load_context *g = &fixture->ctx;
	struct histogram **pair = g->counters->samples[COUNTERS_SAMPLE_RESPONSE];

	connect_both(fixture);
	wait_for_time_stamps(fixture);
	send_late(fixture, 40 * MS);
	peer_reads(fixture, strlen(MESSAGE));
	peer_answers(fixture, 1);
	/* The answer waits in the socket for 30 ms. */
	usleep(30000);
	run_once(fixture);
	assert_int_equal(histogram_count(pair[COUNTERS_MEASURED]), 1);
	uint64_t measured = histogram_max(pair[COUNTERS_MEASURED]);
	uint64_t without = histogram_max(pair[COUNTERS_WITHOUT_OWN]);
	assert_true(measured >= 70 * MS);
	assert_true(measured - without >= 69 * MS);
	assert_true(counters_get(&g->counters->own_delay_max_ns) >= 69 * MS);
	assert_true(
	    histogram_max(histogram_of(fixture, LATENCY_RECEIVE_LAG)) >= 29 * MS);
}

/* With one message in flight, each waits for the one before: a delay of the client in
 * its answer is the client's delay of the next one, too. */
static void
an_own_delay_is_passed_on_to_the_messages_that_wait(void **state)
{
	struct conn_fixture *fixture = *state;
	struct load_context *g = &fixture->ctx;
	struct histogram **pair = g->counters->samples[COUNTERS_SAMPLE_RESPONSE];

	fixture->plan.pipeline = 1;
	connect_both(fixture);
	wait_for_time_stamps(fixture);
	send_late(fixture, 0);
	assert_true(conn_state_schedule(g, &fixture->conn, g->times.now_ns));
	peer_reads(fixture, strlen(MESSAGE));
	peer_answers(fixture, 1);
	usleep(50000);
	run_once(fixture); /* reads the first answer, sends the second message */
	peer_reads(fixture, strlen(MESSAGE));
	peer_answers(fixture, 1);
	run_once(fixture);
	assert_int_equal(histogram_count(pair[COUNTERS_MEASURED]), 2);
	/* Both took 50 ms, almost all of it in this client. */
	assert_true(histogram_min(pair[COUNTERS_MEASURED]) >= 50 * MS);
	assert_true(histogram_max(histogram_of(fixture, LATENCY_BLOCKED)) >= 50 * MS);
	assert_true(histogram_min(pair[COUNTERS_MEASURED]) -
		histogram_min(pair[COUNTERS_WITHOUT_OWN]) >=
	    45 * MS);
}

static void
a_connection_is_silent_while_it_waits_for_an_answer(void **state)
{
	struct conn_fixture *fixture = *state;
	struct load_context *g = &fixture->ctx;

	connect_both(fixture);
	wait_for_time_stamps(fixture);
	usleep(60000); /* nothing is in flight */
	send_late(fixture, 0);
	peer_reads(fixture, strlen(MESSAGE));
	usleep(40000);
	peer_answers(fixture, 1);
	usleep(60000); /* the answer has arrived */
	run_once(fixture);
	uint64_t silent = counters_get(&g->counters->silence_max_ns);
	assert_true(silent >= 39 * MS);
	assert_true(
	    histogram_max(histogram_of(fixture, LATENCY_RECEIVE_LAG)) >= 59 * MS);
	assert_true(silent <= g->times.now_ns - g->counters->silence_from_ns - 59 * MS);
	/* Recorded when the connection ends. */
	g->is_stopped = g->is_dropping = true;
	g->is_running = false;
	send_late(fixture, 0);
	fixture->ctx.times.now_ns += 500 * MS;
	conn_close(g, &fixture->conn, CONN_CLOSE_TIMEOUT);
	peer_closes(fixture);
	assert_int_equal(histogram_count(histogram_of(fixture, LATENCY_SILENCE)), 1);
}

static void
excludes_the_warm_up_from_all_figures(void **state)
{
	struct conn_fixture *fixture = *state;
	const struct counters *counters = fixture->ctx.counters;

	connect_both(fixture);
	fixture->ctx.times.measure_ns = UINT64_MAX;
	send_late(fixture, 5 * MS);
	peer_reads(fixture, strlen(MESSAGE));
	peer_answers(fixture, 1);
	run_once(fixture);
	send_late(fixture, 5 * MS);
	lose(fixture);
	assert_true(counters_get(&counters->warmup.sent) == 2);
	assert_true(counters_get(&counters->warmup.verified) == 1);
	assert_true(counters_get(&counters->warmup.lost[MESSAGE_LOSS_RESET]) == 1);
	assert_true(counters_get(&counters->warmup.in_flight) == 0);
	assert_true(counters_get(&counters->messages.sent) == 0);
	assert_true(counters_get(&counters->messages_due) == 0);
	assert_true(counters_get(&counters->messages_late) == 0);
	assert_true(counters_get(&counters->oldest_lost_ns) == 0);
	assert_true(histogram_count(histogram_of(fixture, LATENCY_RESPONSE)) == 0);
	assert_true(histogram_count(histogram_of(fixture, LATENCY_SEND_LAG)) == 0);
	assert_true(histogram_count(histogram_of(fixture, LATENCY_AGE)) == 0);
}

static void
excludes_wrong_answers_from_latencies(void **state)
{
	struct conn_fixture *fixture = *state;

	connect_both(fixture);
	send_messages(fixture, 1);
	peer_reads(fixture, strlen(MESSAGE));
	assert_int_equal(send(fixture->peer, "HELLX", 5, 0), 5);
	peer_closes_and_conn_notices(fixture);
	assert_true(counters_get(&fixture->ctx.counters->messages.wrong) == 1);
	assert_true(histogram_count(histogram_of(fixture, LATENCY_RESPONSE)) == 0);
	assert_true(histogram_count(histogram_of(fixture, LATENCY_SERVICE)) == 0);
}

static void
counts_a_partial_wrong_answer_as_wrong_not_lost(void **state)
{
	struct conn_fixture *fixture = *state;
	const struct counters *counters = fixture->ctx.counters;

	connect_both(fixture);
	send_messages(fixture, 3);
	peer_reads(fixture, 3 * strlen(MESSAGE));
	assert_int_equal(send(fixture->peer, "X", 1, 0), 1);
	peer_closes_and_conn_notices(fixture);
	assert_true(counters_get(&counters->messages.wrong) == 1);
	assert_true(counters_get(&counters->messages.lost[MESSAGE_LOSS_CLOSED]) == 2);
	assert_true(counters_get(&counters->connections_open) == 0);
}

static void
reports_the_oldest_lost_message(void **state)
{
	struct conn_fixture *fixture = *state;

	connect_both(fixture);
	send_late(fixture, 50 * MS);
	send_late(fixture, 10 * MS);
	lose(fixture);
	assert_true(histogram_count(histogram_of(fixture, LATENCY_AGE)) == 2);
	assert_true(counters_get(&fixture->ctx.counters->oldest_lost_ns) >= 50 * MS);
}

static void
next_connection_skips_a_partly_sent_message(void **state)
{
	struct conn_fixture *fixture = *state;

	fixture->plan.dribble = true;
	connect_both(fixture);
	send_messages(fixture, 1);
	assert_int_equal(fixture->conn.send.at, 1);
	lose(fixture);
	assert_int_equal(fixture->conn.send.message, 1);
	assert_int_equal(fixture->conn.send.at, 0);
	assert_int_equal(fixture->conn.answers.cursor.message, 1);
}

/* Loses the connection with two messages due, the first one blocked. */
static void
lose_two_due(struct conn_fixture *fixture)
{
	struct load_context *g = &fixture->ctx;

	connect_both(fixture);
	for (int i = 0; i < 2; i++)
		assert_true(conn_state_schedule(g, &fixture->conn, g->times.now_ns));
	message_queue_at(&g->message_pool, fixture->conn.queue.head)->written_ns =
	    g->times.now_ns;
	lose(fixture);
}

static void
keeps_scheduled_messages_due_for_the_next_connection(void **state)
{
	struct conn_fixture *fixture = *state;

	lose_two_due(fixture);
	assert_int_equal(fixture->conn.due, 2);
	assert_int_equal(fixture->conn.scheduled, 2);
	const struct queued_message *first =
	    message_queue_at(&fixture->ctx.message_pool, fixture->conn.queue.head);
	assert_true(first->written_ns == 0);
}

static void
reschedules_closed_loop_messages_after_a_loss(void **state)
{
	struct conn_fixture *fixture = *state;

	fixture->plan.load = PLAN_CLOSED;
	fixture->ctx.is_running = false;
	lose_two_due(fixture);
	assert_int_equal(fixture->conn.due, 0);
	assert_int_equal(fixture->conn.scheduled, 0);
}

/* Delay before the reconnect after losing a connection of age `age_ns`. */
static uint64_t
delay_after_loss(struct conn_fixture *fixture, uint64_t age_ns)
{
	struct load_context *g = &fixture->ctx;

	connect_both(fixture);
	g->times.now_ns = fixture->conn.state_since_ns + age_ns;
	conn_close(g, &fixture->conn, CONN_CLOSE_RESET);
	peer_closes(fixture);
	assert_int_equal(fixture->conn.state, CONN_WAITING);
	if (g->connects.count > 0) {
		conn_state_dequeue_connect(g);
		return 0;
	}
	return timer_wheel_deadline(&g->timer_wheel, 0) - g->times.now_ns;
}

static void
doubles_the_reconnect_delay_after_repeated_early_losses(void **state)
{
	struct conn_fixture *fixture = *state;

	assert_int_equal(delay_after_loss(fixture, 0), 0);
	assert_int_equal(delay_after_loss(fixture, 0), 20 * MS);
	assert_int_equal(delay_after_loss(fixture, 0), 40 * MS);
	/* No delay after a long connection, or one with an answer. */
	assert_int_equal(delay_after_loss(fixture, SECOND - 1), 80 * MS);
	assert_int_equal(delay_after_loss(fixture, SECOND), 0);
	assert_int_equal(delay_after_loss(fixture, 0), 20 * MS);
	connect_both(fixture);
	send_messages(fixture, 1);
	peer_reads(fixture, strlen(MESSAGE));
	peer_answers(fixture, 1);
	run_once(fixture);
	lose(fixture);
	assert_int_equal(fixture->ctx.connects.count, 1);
}

static void
next_connection_starts_with_fresh_state(void **state)
{
	struct conn_fixture *fixture = *state;
	const struct counters *counters = fixture->ctx.counters;

	connect_both(fixture);
	lose(fixture);
	fixture->conn.sent_on_connection = 5;
	fixture->conn.expires = fixture->conn.is_write_shut = fixture->conn.is_paused =
	    true;
	fixture->conn.received_ns = 7;
	conn_state_dequeue_connect(&fixture->ctx);
	connect_both(fixture);
	assert_int_equal(fixture->conn.sent_on_connection, 0);
	assert_false(fixture->conn.expires || fixture->conn.is_write_shut);
	assert_false(fixture->conn.is_paused);
	assert_true(fixture->conn.received_ns == fixture->conn.state_since_ns);
	assert_true(counters_get(&counters->connections_established) == 2);
	assert_true(counters_get(&counters->connections_first) == 1);
	assert_true(counters_get(&counters->reconnects) == 1);
	assert_true(counters_get(&counters->connections_open) == 1);
}

static void
records_the_idle_time_of_the_first_lost_connections(void **state)
{
	struct conn_fixture *fixture = *state;
	const struct counters *counters = fixture->ctx.counters;

	for (int i = 0; i < COUNTERS_LOST_MAX + 2; i++) {
		connect_both(fixture);
		fixture->ctx.times.now_ns = clock_now_ns();
		fixture->conn.received_ns = fixture->ctx.times.now_ns - 3 * MS;
		fixture->conn.state_since_ns = fixture->ctx.times.now_ns - 5 * MS;
		conn_close(&fixture->ctx, &fixture->conn, CONN_CLOSE_RESET);
		peer_closes(fixture);
		conn_state_dequeue_connect(&fixture->ctx);
	}
	assert_int_equal(counters->lost_connections, COUNTERS_LOST_MAX);
	assert_true(counters->lost_connection[0].silent_ns == 3 * MS);
	assert_true(counters_get(&counters->connections_lost) == COUNTERS_LOST_MAX + 2);
	assert_true(
	    counters_get(&counters->connections_reset) == COUNTERS_LOST_MAX + 2);
}

static void
limits_messages_in_flight_to_the_pipeline_depth(void **state)
{
	struct conn_fixture *fixture = *state;

	connect_both(fixture);
	send_messages(fixture, 6);
	send_messages(fixture, 6);
	assert_int_equal(fixture->conn.in_flight, 8);
	assert_int_equal(fixture->conn.due, 4);
}

static void
sets_the_timer_to_the_earliest_deadline(void **state)
{
	struct conn_fixture *fixture = *state;
	struct load_context *g = &fixture->ctx;

	connect_both(fixture);
	send_messages(fixture, 1);
	uint64_t written_ns = g->times.now_ns,
		 state_since_ns = fixture->conn.state_since_ns;
	fixture->plan.timeout_ns = 10 * SECOND;
	conn_state_set_timer(g, &fixture->conn);
	assert_true(
	    timer_wheel_deadline(&g->timer_wheel, 0) == written_ns + 10 * SECOND);
	fixture->plan.lifetime_ns = SECOND;
	conn_state_set_timer(g, &fixture->conn);
	assert_true(
	    timer_wheel_deadline(&g->timer_wheel, 0) == state_since_ns + SECOND);
}

static void
counts_only_unanswered_messages_as_late(void **state)
{
	struct conn_fixture *fixture = *state;
	struct load_context *g = &fixture->ctx;

	connect_both(fixture);
	send_messages(fixture, 1);
	uint64_t late_ns = g->times.now_ns + fixture->plan.timeout_ns;
	g->times.now_ns = late_ns + SECOND;
	g->times.received_ns = late_ns - 1;
	conn_on_timer(g, &fixture->conn);
	assert_int_equal(fixture->conn.state, CONN_OPEN);
	g->times.received_ns = late_ns;
	conn_on_timer(g, &fixture->conn);
	assert_int_equal(fixture->conn.state, CONN_WAITING);
	assert_true(
	    counters_get(&g->counters->messages.lost[MESSAGE_LOSS_TIMEOUT]) == 1);
}

/* The timeout runs from the first blocked send, however often it is repeated. */
static void
times_a_blocked_send_from_the_first_refusal(void **state)
{
	static const uint8_t junk[65536];
	struct conn_fixture *fixture = *state;
	struct load_context *g = &fixture->ctx;
	int full[2];

	connect_both(fixture);
	/* A socket that stays full, unlike a TCP socket. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, full), 0);
	while (send(full[0], junk, sizeof(junk), 0) > 0)
		;
	assert_int_equal(
	    dup2(full[0], fixture->conn.stream.fd), fixture->conn.stream.fd);
	send_late(fixture, 0);
	uint64_t refused_ns = g->times.now_ns;
	assert_int_equal(fixture->conn.in_flight, 0);
	g->times.now_ns += SECOND;
	conn_advance(g, &fixture->conn);
	const struct queued_message *first =
	    message_queue_at(&g->message_pool, fixture->conn.queue.head);
	assert_true(first->written_ns == refused_ns);
	assert_true(timer_wheel_deadline(&g->timer_wheel, 0) ==
	    refused_ns + fixture->plan.timeout_ns);
	close(full[0]);
	close(full[1]);
}

static void
restarts_at_the_first_address_after_all_have_failed(void **state)
{
	struct conn_fixture *fixture = *state;
	struct plan_target *target = &fixture->plan.targets[0];
	const struct counters *counters = fixture->ctx.counters;
	struct sockaddr_in *mute = (void *)&target->addresses[0].storage;
	socklen_t length = sizeof(*mute);
	int bound = socket(AF_INET, SOCK_STREAM, 0);

	/* Both addresses refuse connections. */
	mute->sin_port = 0;
	assert_int_equal(bind(bound, (void *)mute, length), 0);
	assert_int_equal(getsockname(bound, (void *)mute, &length), 0);
	target->addresses[1] = target->addresses[0];
	target->address_count = 2;
	start_connect(fixture);
	while (fixture->conn.state == CONN_CONNECTING)
		run_once(fixture);
	assert_int_equal(fixture->conn.state, CONN_DONE);
	assert_int_equal(fixture->conn.address, 0);
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
		RUN(an_answer_is_timed_from_its_due_time_and_from_its_send),
		RUN(messages_sent_and_answered_at_once_are_timed_and_counted_each),
		RUN(a_message_is_late_from_when_the_connection_could_take_it),
		RUN(messages_without_answers_are_all_late),
		RUN(a_message_that_waits_for_a_connection_is_blocked),
		RUN(own_delay_is_what_the_response_contains_of_this_client),
		RUN(an_own_delay_is_passed_on_to_the_messages_that_wait),
		RUN(a_connection_is_silent_while_it_waits_for_an_answer),
		RUN(excludes_the_warm_up_from_all_figures),
		RUN(excludes_wrong_answers_from_latencies),
		RUN(counts_a_partial_wrong_answer_as_wrong_not_lost),
		RUN(reports_the_oldest_lost_message),
		RUN(next_connection_skips_a_partly_sent_message),
		RUN(keeps_scheduled_messages_due_for_the_next_connection),
		RUN(reschedules_closed_loop_messages_after_a_loss),
		RUN(doubles_the_reconnect_delay_after_repeated_early_losses),
		RUN(next_connection_starts_with_fresh_state),
		RUN(records_the_idle_time_of_the_first_lost_connections),
		RUN(limits_messages_in_flight_to_the_pipeline_depth),
		RUN(sets_the_timer_to_the_earliest_deadline),
		RUN(counts_only_unanswered_messages_as_late),
		RUN(times_a_blocked_send_from_the_first_refusal),
		RUN(restarts_at_the_first_address_after_all_have_failed),
#undef RUN
	};

	return cmocka_run_group_tests_name("accounting", tests, NULL, NULL);
}
