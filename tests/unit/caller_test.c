#include "client/load/conn_close.h"
#include "tests/lib/one_caller.h"

static void
a_turn_left_over_from_a_lost_connection_makes_no_new_one(void **state)
{
	struct rig *rig = *state;
	struct sockaddr *to = (void *)&rig->plan.targets[0].addresses[0].storage;
	socklen_t length = rig->plan.targets[0].addresses[0].length;
	int waiting[4];

	/* A full accept queue: connecting goes on and on. */
	assert_int_equal(listen(rig->listener, 0), 0);
	for (int i = 0; i < 4; i++) {
		waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(waiting[i], to, length);
	}
	generator_enqueue_ready(&rig->generator, &rig->conn);
	call(rig);
	assert_int_equal(rig->conn.state, CONN_CONNECTING);
	conn_on_ready(&rig->generator, &rig->conn);
	assert_int_equal(rig->conn.state, CONN_CONNECTING);
	assert_true(
	    counters_get(&rig->generator.counters->connections_established) == 0);
	for (int i = 0; i < 4; i++)
		close(waiting[i]);
}

static void
an_answer_that_came_before_a_reset_counts_though_the_next_send_finds_the_reset(
    void **state)
{
	struct rig *rig = *state;
	const struct counters *counters = rig->generator.counters;

	connect_both(rig);
	send_messages(rig, 3);
	peer_reads(rig, strlen(MESSAGE));
	peer_answers(rig, 2);
	peer_closes(rig); /* with bytes that it has not read: a reset */
	wait_for_the_reset(rig);
	send_messages(rig, 1);
	assert_true(counters_get(&counters->messages.sent) == 3);
	assert_true(counters_get(&counters->messages.verified) == 2);
	assert_true(counters_get(&counters->messages.lost[MESSAGE_LOSS_RESET]) == 1);
	/* The fourth is due still, for the next connection. */
	assert_int_equal(rig->conn.due, 1);
	assert_int_equal(rig->conn.state, CONN_WAITING);
}

static void
a_peer_that_closes_after_the_last_answer_of_a_connection_has_lost_nothing(void **state)
{
	struct rig *rig = *state;
	const struct counters *counters = rig->generator.counters;

	rig->plan.messages_per_connection = 2;
	connect_both(rig);
	send_messages(rig, 3);
	peer_reads(rig, 2 * strlen(MESSAGE));
	peer_answers(rig, 2);
	peer_closes(rig);
	turn(rig);
	if (rig->conn.state != CONN_WAITING)
		turn(rig);
	assert_int_equal(rig->conn.state, CONN_WAITING);
	assert_true(counters_get(&counters->messages.verified) == 2);
	assert_true(counters_get(&counters->connections_lost) == 0);
	assert_int_equal(rig->conn.due, 1);
}

static void
a_peer_that_closes_too_early_has_lost_what_was_in_flight(void **state)
{
	struct rig *rig = *state;
	const struct counters *counters = rig->generator.counters;

	connect_both(rig);
	send_messages(rig, 3);
	peer_reads(rig, 3 * strlen(MESSAGE));
	peer_answers(rig, 1);
	peer_closes_and_is_heard(rig);
	assert_true(counters_get(&counters->messages.verified) == 1);
	assert_true(counters_get(&counters->messages.lost[MESSAGE_LOSS_CLOSED]) == 2);
	assert_true(counters_get(&counters->connections_lost) == 1);
	assert_true(counters_get(&counters->connections_reset) == 0);
}

static void
an_answer_and_the_end_in_one_event_are_both_seen(void **state)
{
	struct rig *rig = *state;
	const struct counters *counters = rig->generator.counters;

	rig->plan.messages = 1;
	connect_both(rig);
	send_messages(rig, 1);
	peer_reads(rig, strlen(MESSAGE));
	peer_answers(rig, 1);
	shutdown(rig->peer, SHUT_WR);
	while (rig->conn.state == CONN_OPEN)
		turn(rig);
	if (rig->conn.state == CONN_CLOSING)
		turn(rig);
	assert_int_equal(rig->conn.state, CONN_DONE);
	assert_true(counters_get(&counters->messages.verified) == 1);
	assert_true(counters_get(&counters->connections_lost) == 0);
}

static void
rounds_of_lockstep_go_on_beyond_32_bits(void **state)
{
	struct rig *rig = *state;
	struct generator *g = &rig->generator;
	uint64_t many = UINT64_C(1) << 32;

	rig->plan.load = PLAN_LOCKSTEP;
	rig->plan.pipeline = 1;
	connect_both(rig);
	rig->conn.scheduled = rig->conn.send.message = g->round = many;
	rig->conn.answers.cursor = rig->conn.send;
	atomic_store(&g->control_block->round, many);
	atomic_store(&g->counters->rounds_done, many);
	for (uint64_t round = many; round < many + 2; round++) {
		phases_step(g);
		assert_int_equal(g->in_flight, 1);
		peer_reads(rig, strlen(MESSAGE));
		peer_answers(rig, 1);
		turn(rig);
		assert_int_equal(g->in_flight, 0);
	}
	assert_true(counters_get(&g->counters->messages.verified) == 2);
}

static void
a_call_to_a_name_is_one_attempt_whatever_its_addresses(void **state)
{
	struct rig *rig = *state;
	struct plan_target *target = &rig->plan.targets[0];
	const struct counters *counters = rig->generator.counters;
	struct sockaddr_in *mute = (void *)&target->addresses[0].storage;
	socklen_t length = sizeof(*mute);
	int bound = socket(AF_INET, SOCK_STREAM, 0);

	/* Nobody listens at the first one. */
	target->addresses[1] = target->addresses[0];
	target->address_count = 2;
	mute->sin_port = 0;
	assert_int_equal(bind(bound, (void *)mute, length), 0);
	assert_int_equal(getsockname(bound, (void *)mute, &length), 0);
	for (uint64_t calls = 1; calls <= 3; calls++) {
		call(rig);
		while (rig->conn.state != CONN_OPEN) {
			/* It takes no second turn. */
			assert_int_equal(rig->generator.connect_queue.count, 0);
			turn(rig);
		}
		assert_true(counters_get(&counters->connections_attempted) == calls);
		assert_true(counters_get(&counters->connections_established) == calls);
		rig->plan.reconnect = false;
		conn_close_lost(&rig->generator, &rig->conn, MESSAGE_LOSS_RESET);
		rig->generator.unfinished++;
	}
	close(bound);
}

static void
whoever_waits_for_its_turn_to_dial_has_no_timer_left(void **state)
{
	struct rig *rig = *state;
	struct generator *g = &rig->generator;

	connect_both(rig);
	send_messages(rig, 1);
	assert_true(timer_wheel_deadline(&g->timer_wheel, 0) != TIMER_WHEEL_NEVER);
	peer_reads(rig, strlen(MESSAGE));
	peer_closes(rig);
	while (rig->conn.state != CONN_WAITING)
		turn(rig);
	assert_int_equal(g->connect_queue.count, 1);
	assert_true(timer_wheel_deadline(&g->timer_wheel, 0) == TIMER_WHEEL_NEVER);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define RUN(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		RUN(a_turn_left_over_from_a_lost_connection_makes_no_new_one),
		RUN(an_answer_that_came_before_a_reset_counts_though_the_next_send_finds_the_reset),
		RUN(a_peer_that_closes_after_the_last_answer_of_a_connection_has_lost_nothing),
		RUN(a_peer_that_closes_too_early_has_lost_what_was_in_flight),
		RUN(an_answer_and_the_end_in_one_event_are_both_seen),
		RUN(a_call_to_a_name_is_one_attempt_whatever_its_addresses),
		RUN(whoever_waits_for_its_turn_to_dial_has_no_timer_left),
		RUN(rounds_of_lockstep_go_on_beyond_32_bits),
#undef RUN
	};

	return cmocka_run_group_tests_name("caller", tests, NULL, NULL);
}
