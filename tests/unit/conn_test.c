#include <errno.h>

#include "client/load/conn_close.h"
#include "client/load/outage_watch.h"
#include "tests/lib/conn_fixture.h"

static void
a_ready_turn_of_a_lost_connection_does_not_touch_its_successor(void **state)
{
	struct conn_fixture *fixture = *state;
	struct sockaddr *to = (void *)&fixture->plan.targets[0].addresses[0].storage;
	socklen_t length = fixture->plan.targets[0].addresses[0].length;
	int waiting[4];

	/* The accept queue is full: the connect does not complete. */
	assert_int_equal(listen(fixture->listener, 0), 0);
	for (int i = 0; i < 4; i++) {
		waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(waiting[i], to, length);
	}
	conn_state_enqueue_ready(&fixture->ctx, &fixture->conn);
	start_connect(fixture);
	assert_int_equal(fixture->conn.state, CONN_CONNECTING);
	conn_on_ready(&fixture->ctx, &fixture->conn);
	assert_int_equal(fixture->conn.state, CONN_CONNECTING);
	assert_true(counters_get(&fixture->ctx.counters->connections_established) == 0);
	for (int i = 0; i < 4; i++)
		close(waiting[i]);
}

static void
answers_received_before_a_reset_count_if_a_send_fails_first(void **state)
{
	struct conn_fixture *fixture = *state;
	const struct counters *counters = fixture->ctx.counters;

	connect_both(fixture);
	send_messages(fixture, 3);
	peer_reads(fixture, strlen(MESSAGE));
	peer_answers(fixture, 2);
	peer_closes(fixture); /* with unread bytes: sends a RST */
	wait_for_reset(fixture);
	send_messages(fixture, 1);
	assert_true(counters_get(&counters->messages.sent) == 3);
	assert_true(counters_get(&counters->messages.verified) == 2);
	assert_true(counters_get(&counters->messages.lost[MESSAGE_LOSS_RESET]) == 1);
	/* The fourth message stays due for the next connection. */
	assert_int_equal(fixture->conn.due, 1);
	assert_int_equal(fixture->conn.state, CONN_WAITING);
}

static void
loses_nothing_when_the_peer_closes_after_the_last_answer(void **state)
{
	struct conn_fixture *fixture = *state;
	const struct counters *counters = fixture->ctx.counters;

	fixture->plan.messages_per_connection = 2;
	connect_both(fixture);
	send_messages(fixture, 3);
	peer_reads(fixture, 2 * strlen(MESSAGE));
	peer_answers(fixture, 2);
	peer_closes(fixture);
	run_once(fixture);
	if (fixture->conn.state != CONN_WAITING)
		run_once(fixture);
	assert_int_equal(fixture->conn.state, CONN_WAITING);
	assert_true(counters_get(&counters->messages.verified) == 2);
	assert_true(counters_get(&counters->connections_lost) == 0);
	assert_int_equal(fixture->conn.due, 1);
}

static void
counts_messages_in_flight_as_lost_when_the_peer_closes_early(void **state)
{
	struct conn_fixture *fixture = *state;
	const struct counters *counters = fixture->ctx.counters;

	connect_both(fixture);
	send_messages(fixture, 3);
	peer_reads(fixture, 3 * strlen(MESSAGE));
	peer_answers(fixture, 1);
	peer_closes_and_conn_notices(fixture);
	assert_true(counters_get(&counters->messages.verified) == 1);
	assert_true(counters_get(&counters->messages.lost[MESSAGE_LOSS_CLOSED]) == 2);
	assert_true(counters_get(&counters->connections_lost) == 1);
	assert_true(counters_get(&counters->connections_reset) == 0);
}

static void
handles_an_answer_and_eof_in_one_event(void **state)
{
	struct conn_fixture *fixture = *state;
	const struct counters *counters = fixture->ctx.counters;

	fixture->plan.messages = 1;
	connect_both(fixture);
	send_messages(fixture, 1);
	peer_reads(fixture, strlen(MESSAGE));
	peer_answers(fixture, 1);
	shutdown(fixture->peer, SHUT_WR);
	while (fixture->conn.state == CONN_OPEN)
		run_once(fixture);
	if (fixture->conn.state == CONN_CLOSING)
		run_once(fixture);
	assert_int_equal(fixture->conn.state, CONN_DONE);
	assert_true(counters_get(&counters->messages.verified) == 1);
	assert_true(counters_get(&counters->connections_lost) == 0);
}

static void
lockstep_continues_beyond_round_2_to_the_32(void **state)
{
	struct conn_fixture *fixture = *state;
	struct load_context *g = &fixture->ctx;
	uint64_t many = UINT64_C(1) << 32;

	fixture->plan.load = PLAN_LOCKSTEP;
	fixture->plan.pipeline = 1;
	connect_both(fixture);
	fixture->conn.scheduled = fixture->conn.send.message = g->round = many;
	fixture->conn.answers.cursor = fixture->conn.send;
	atomic_store(&g->control_block->round, many);
	atomic_store(&g->counters->rounds_done, many);
	for (uint64_t round = many; round < many + 2; round++) {
		phases_step(g);
		assert_int_equal(g->in_flight, 1);
		peer_reads(fixture, strlen(MESSAGE));
		peer_answers(fixture, 1);
		run_once(fixture);
		assert_int_equal(g->in_flight, 0);
	}
	assert_true(counters_get(&g->counters->messages.verified) == 2);
}

static void
counts_one_attempt_for_a_name_with_several_addresses(void **state)
{
	struct conn_fixture *fixture = *state;
	struct plan_target *target = &fixture->plan.targets[0];
	const struct counters *counters = fixture->ctx.counters;
	struct sockaddr_in *mute = (void *)&target->addresses[0].storage;
	socklen_t length = sizeof(*mute);
	int bound = socket(AF_INET, SOCK_STREAM, 0);

	/* The first address refuses connections. */
	target->addresses[1] = target->addresses[0];
	target->address_count = 2;
	mute->sin_port = 0;
	assert_int_equal(bind(bound, (void *)mute, length), 0);
	assert_int_equal(getsockname(bound, (void *)mute, &length), 0);
	for (uint64_t calls = 1; calls <= 3; calls++) {
		start_connect(fixture);
		while (fixture->conn.state != CONN_OPEN) {
			/* The second address needs no turn of --connect-rate. */
			assert_int_equal(fixture->ctx.connects.count, 0);
			run_once(fixture);
		}
		assert_true(counters_get(&counters->connections_attempted) == calls);
		assert_true(counters_get(&counters->connections_established) == calls);
		fixture->plan.reconnect = false;
		conn_close(&fixture->ctx, &fixture->conn, CONN_CLOSE_RESET);
		fixture->ctx.unfinished++;
	}
	close(bound);
}

/* An address with a full accept queue, which answers no SYN. */
static int
listen_full(struct address *ret, int waiting[4])
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	ret->in = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	ret->length = sizeof(ret->in);
	assert_int_equal(bind(fd, (void *)&ret->in, ret->length), 0);
	assert_int_equal(getsockname(fd, (void *)&ret->in, &ret->length), 0);
	assert_int_equal(listen(fd, 0), 0);
	for (int i = 0; i < 4; i++) {
		waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(waiting[i], (void *)&ret->in, ret->length);
	}
	return fd;
}

static void
the_time_of_a_connect_counts_from_its_first_address(void **state)
{
	struct conn_fixture *fixture = *state;
	struct plan_target *target = &fixture->plan.targets[0];
	const struct counters *counters = fixture->ctx.counters;
	const struct counters_address *addresses = counters->targets[0].addresses;
	int waiting[4];

	target->addresses[1] = target->addresses[0];
	target->address_count = 2;
	int full = listen_full(&target->addresses[0], waiting);
	start_connect(fixture);
	usleep(30000);
	conn_on_timer(&fixture->ctx, &fixture->conn);
	while (fixture->conn.state != CONN_OPEN)
		run_once(fixture);
	assert_true(
	    histogram_min(counters->histograms[LATENCY_CONNECT]) >= 30 * NS_PER_MS);
	assert_true(counters_get(&addresses[0].attempted) == 1);
	assert_true(counters_get(&addresses[0].failed[CONNECT_FAILURE_TIMEOUT]) == 1);
	assert_true(counters_get(&addresses[0].established) == 0);
	assert_int_equal(atomic_load(&addresses[0].last_errno), ETIMEDOUT);
	assert_true(counters_get(&addresses[1].attempted) == 1);
	assert_true(counters_get(&addresses[1].established) == 1);
	assert_true(counters_get(&counters->targets[0].established) == 1);
	assert_true(
	    counters_get(&counters->connections_failed[CONNECT_FAILURE_TIMEOUT]) == 0);
	for (int i = 0; i < 4; i++)
		close(waiting[i]);
	close(full);
}

static void
a_reconnect_tries_every_address_from_the_last_good_one_on(void **state)
{
	struct conn_fixture *fixture = *state;
	struct plan_target *target = &fixture->plan.targets[0];
	const struct counters *counters = fixture->ctx.counters;
	const struct counters_address *addresses = counters->targets[0].addresses;
	struct sockaddr_in refusing = target->addresses[0].in;
	socklen_t length = sizeof(refusing);
	int bound = socket(AF_INET, SOCK_STREAM, 0);

	refusing.sin_port = 0;
	assert_int_equal(bind(bound, (void *)&refusing, length), 0);
	assert_int_equal(getsockname(bound, (void *)&refusing, &length), 0);
	target->addresses[1] = target->addresses[0];
	target->addresses[1].in = refusing;
	target->address_count = 2;
	/* The second address served it last, and is gone. */
	fixture->conn.address = 1;
	start_connect(fixture);
	while (fixture->conn.state != CONN_OPEN)
		run_once(fixture);
	assert_true(counters_get(&addresses[1].failed[CONNECT_FAILURE_REFUSED]) == 1);
	assert_true(counters_get(&addresses[0].established) == 1);
	assert_int_equal(fixture->conn.address, 0);
	close(bound);
}

/* Sends one message, receives its answer, and sends our FIN. */
static void
finish_messages(struct conn_fixture *fixture)
{
	fixture->plan.messages = 1;
	connect_both(fixture);
	send_messages(fixture, 1);
	peer_reads(fixture, strlen(MESSAGE));
	peer_answers(fixture, 1);
	while (fixture->conn.state == CONN_OPEN)
		run_once(fixture);
	assert_int_equal(fixture->conn.state, CONN_CLOSING);
}

static void
assert_closed(const struct conn_fixture *fixture, enum close_end end)
{
	assert_int_equal(fixture->conn.state, CONN_DONE);
	for (int i = 0; i < CLOSE_END_COUNT; i++)
		assert_true(
		    counters_get(&fixture->ctx.counters->connections_closed[i]) ==
		    (i == (int)end ? 1 : 0));
	assert_true(counters_get(&fixture->ctx.counters->connections_lost) == 0);
}

static void
counts_a_fin_that_follows_ours_as_closed_in_order(void **state)
{
	struct conn_fixture *fixture = *state;

	finish_messages(fixture);
	peer_closes(fixture);
	run_once(fixture);
	assert_closed(fixture, CLOSE_END_FIN);
}

static void
counts_a_reset_that_follows_our_fin(void **state)
{
	struct conn_fixture *fixture = *state;
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	finish_messages(fixture);
	setsockopt(fixture->peer, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	peer_closes(fixture);
	run_once(fixture);
	assert_closed(fixture, CLOSE_END_RESET);
}

static void
counts_a_fin_that_does_not_come_within_a_second(void **state)
{
	struct conn_fixture *fixture = *state;
	const struct timer_wheel *wheel = &fixture->ctx.timer_wheel;

	finish_messages(fixture);
	assert_true(timer_wheel_deadline(wheel, 0) - fixture->conn.state_since_ns >=
	    PLAN_CLOSE_TIMEOUT_NS);
	conn_on_timer(&fixture->ctx, &fixture->conn);
	assert_closed(fixture, CLOSE_END_TIMEOUT);
	assert_true(
	    histogram_count(fixture->ctx.counters->histograms[LATENCY_CLOSE]) == 0);
}

/* With --half-close our FIN may be older than the last answer. */
static void
waits_a_second_for_the_fin_after_a_late_answer(void **state)
{
	struct conn_fixture *fixture = *state;

	fixture->plan.messages = 1;
	fixture->plan.half_close = true;
	connect_both(fixture);
	send_messages(fixture, 1);
	assert_true(fixture->conn.is_write_shut);
	fixture->conn.state_since_ns -= 3 * NS_PER_S;
	peer_reads(fixture, strlen(MESSAGE));
	peer_answers(fixture, 1);
	while (fixture->conn.state == CONN_OPEN)
		run_once(fixture);
	assert_int_equal(fixture->conn.state, CONN_CLOSING);
	assert_true(timer_wheel_deadline(&fixture->ctx.timer_wheel, 0) >=
	    fixture->conn.received_ns + PLAN_CLOSE_TIMEOUT_NS);
	peer_closes(fixture);
	run_once(fixture);
	assert_closed(fixture, CLOSE_END_FIN);
}

/* Which answers are damaged is not known before the rest of the stream is there. */
static void
waits_for_the_fin_while_damaged_answers_arrive(void **state)
{
	struct conn_fixture *fixture = *state;
	struct load_context *g = &fixture->ctx;

	fixture->plan.messages = 1;
	fixture->plan.timeout_ns = 10 * NS_PER_S;
	connect_both(fixture);
	send_messages(fixture, 1);
	peer_reads(fixture, strlen(MESSAGE));
	assert_int_equal(send(fixture->peer, "#####", 5, 0), 5);
	while (fixture->conn.state == CONN_OPEN)
		run_once(fixture);
	assert_int_equal(fixture->conn.state, CONN_CLOSING);
	assert_int_equal(fixture->conn.in_flight, 1);
	/* Our FIN is older than the last byte. */
	fixture->conn.state_since_ns -= 3 * NS_PER_S;
	g->times.received_ns = fixture->conn.received_ns;
	conn_on_timer(g, &fixture->conn);
	assert_int_equal(fixture->conn.state, CONN_CLOSING);
	assert_true(timer_wheel_deadline(&g->timer_wheel, 0) >=
	    fixture->conn.received_ns + PLAN_CLOSE_TIMEOUT_NS);
	/* The timeout bounds it. */
	fixture->conn.state_since_ns -= 7 * NS_PER_S;
	conn_on_timer(g, &fixture->conn);
	assert_closed(fixture, CLOSE_END_TIMEOUT);
	assert_true(counters_get(&g->counters->messages.wrong) == 1);
}

static void
adds_losses_by_cause_with_silence_and_age(void **state)
{
	struct conn_fixture *fixture = *state;
	const struct counters_losses *idle =
	    &fixture->ctx.counters->losses[MESSAGE_LOSS_CLOSED][0];
	const struct counters_losses *busy =
	    &fixture->ctx.counters->losses[MESSAGE_LOSS_CLOSED][1];

	connect_both(fixture);
	fixture->conn.received_ns -= 3 * NS_PER_S;
	fixture->conn.opened_ns -= 5 * NS_PER_S;
	peer_closes_and_conn_notices(fixture);
	assert_true(counters_get(&idle->connections) == 1);
	assert_true(counters_get(&idle->messages) == 0);
	assert_true(counters_get(&idle->silent_min_ns) >= 3 * NS_PER_S);
	assert_true(counters_get(&idle->age_max_ns) >= 5 * NS_PER_S);
	connect_both(fixture);
	send_messages(fixture, 2);
	peer_reads(fixture, 2 * strlen(MESSAGE));
	peer_closes_and_conn_notices(fixture);
	assert_true(counters_get(&busy->connections) == 1);
	assert_true(counters_get(&busy->messages) == 2);
	assert_true(counters_get(&idle->connections) == 1);
}

static void
clears_the_timer_of_a_connection_that_waits_to_connect(void **state)
{
	struct conn_fixture *fixture = *state;
	struct load_context *g = &fixture->ctx;

	connect_both(fixture);
	send_messages(fixture, 1);
	assert_true(timer_wheel_deadline(&g->timer_wheel, 0) != TIMER_WHEEL_NEVER);
	peer_reads(fixture, strlen(MESSAGE));
	peer_closes(fixture);
	while (fixture->conn.state != CONN_WAITING)
		run_once(fixture);
	assert_int_equal(g->connects.count, 1);
	assert_true(timer_wheel_deadline(&g->timer_wheel, 0) == TIMER_WHEEL_NEVER);
}

/* The run ends 1 s after the connection was lost with nothing in flight. With
 * PLAN_INTERVAL a message became due meanwhile; in an open loop none does. */
static void
an_idle_connection_is_dark_from_its_loss_to_the_end(void **state)
{
	static const struct {
		enum plan_load load;
		enum conn_end how;
		bool is_stopped;
		enum outage_end end;
	} cases[] = {
		{ PLAN_INTERVAL, CONN_CLOSE_CANCELLED, true, OUTAGE_OPEN },
		{ PLAN_INTERVAL, CONN_CLOSE_CONNECT_FAILED, true, OUTAGE_OPEN },
		{ PLAN_INTERVAL, CONN_CLOSE_CONNECT_FAILED, false, OUTAGE_LOST },
		{ PLAN_OPEN, CONN_CLOSE_CANCELLED, true, OUTAGE_OPEN },
	};
	struct conn_fixture *fixture = *state;
	struct load_context *g = &fixture->ctx;
	struct outages *outages = calloc(1, outages_bytes(8));
	assert_non_null(outages);
	outages->room = 8;
	g->counters->outages = outages;
	fixture->plan.hold_ns = 200 * NS_PER_MS;
	outage_watch_start(g);
	for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fixture->plan.load = cases[i].load;
		fixture->plan.reconnect = true;
		g->is_stopped = g->is_dropping = false;
		g->unfinished = 1;
		connect_both(fixture);
		peer_closes_and_conn_notices(fixture);
		assert_int_equal(fixture->conn.state, CONN_WAITING);
		if (g->connects.count > 0)
			conn_state_dequeue_connect(g);
		uint64_t since_ns = g->times.now_ns;
		if (cases[i].load == PLAN_INTERVAL)
			assert_true(conn_state_schedule(
			    g, &fixture->conn, since_ns += 50 * NS_PER_MS));
		g->times.now_ns = since_ns + NS_PER_S;
		g->is_stopped = g->is_dropping = cases[i].is_stopped;
		fixture->plan.reconnect = cases[i].is_stopped;
		conn_close(g, &fixture->conn, cases[i].how);
		assert_int_equal(fixture->conn.state, CONN_DONE);
		assert_int_equal(outages->count, i + 1);
		assert_int_equal(outages->list[i].end, cases[i].end);
		assert_true(outages->list[i].begin_ns == since_ns);
		assert_true(outages->list[i].end_ns == since_ns + NS_PER_S);
	}
	/* One that was never established is not dark. */
	g->unfinished = 1;
	fixture->conn.was_established = false;
	assert_true(conn_state_schedule(g, &fixture->conn, g->times.now_ns - NS_PER_S));
	conn_close(g, &fixture->conn, CONN_CLOSE_CANCELLED);
	outage_watch_finish(g);
	assert_int_equal(outages->count, sizeof(cases) / sizeof(cases[0]));
	free(outages);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define RUN(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		RUN(a_ready_turn_of_a_lost_connection_does_not_touch_its_successor),
		RUN(answers_received_before_a_reset_count_if_a_send_fails_first),
		RUN(loses_nothing_when_the_peer_closes_after_the_last_answer),
		RUN(counts_messages_in_flight_as_lost_when_the_peer_closes_early),
		RUN(handles_an_answer_and_eof_in_one_event),
		RUN(counts_one_attempt_for_a_name_with_several_addresses),
		RUN(the_time_of_a_connect_counts_from_its_first_address),
		RUN(a_reconnect_tries_every_address_from_the_last_good_one_on),
		RUN(counts_a_fin_that_follows_ours_as_closed_in_order),
		RUN(counts_a_reset_that_follows_our_fin),
		RUN(counts_a_fin_that_does_not_come_within_a_second),
		RUN(waits_a_second_for_the_fin_after_a_late_answer),
		RUN(waits_for_the_fin_while_damaged_answers_arrive),
		RUN(adds_losses_by_cause_with_silence_and_age),
		RUN(clears_the_timer_of_a_connection_that_waits_to_connect),
		RUN(an_idle_connection_is_dark_from_its_loss_to_the_end),
		RUN(lockstep_continues_beyond_round_2_to_the_32),
#undef RUN
	};

	return cmocka_run_group_tests_name("conn", tests, NULL, NULL);
}
