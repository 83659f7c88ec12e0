#include <sys/epoll.h>
#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka needs some of those above */
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "client/dial.h"
#include "client/generator.h"
#include "client/rhythm.h"

#define MESSAGE "hello"
#define ANSWER "HELLO"
#define PATIENCE_MS 2000

/* A generator with one caller, whose loop the test turns by hand, and its peer. */
struct rig {
	struct plan plan;
	struct sequence sequence;
	struct expectation expectation;
	struct tallies tallies;
	struct generator generator;
	struct caller caller;
	uint32_t active[1], dials[1];
	int listener;
	int peer; /* accepted; -1: closed by the test */
};

static void
listen_at(struct rig *rig, int backlog)
{
	struct sockaddr_in *address = (void *)&rig->plan.targets[0].addresses[0];
	socklen_t length = sizeof(*address);

	address->sin_family = AF_INET;
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	rig->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(rig->listener, (void *)address, length), 0);
	assert_int_equal(listen(rig->listener, backlog), 0);
	assert_int_equal(getsockname(rig->listener, (void *)address, &length), 0);
	rig->plan.targets[0].addresses[0].length = length;
	rig->plan.targets[0].address_count = rig->plan.target_count = 1;
	rig->plan.targets[0].text = "peer";
}

static void
fill_plan(struct plan *plan)
{
	static const char *texts[] = { MESSAGE };
	char error[PLAN_ERROR_MAX];

	plan_init(plan);
	plan->connections = plan->rank_connections = plan->processes = 1;
	plan->texts = (struct plan_list){ texts, 1 };
	plan->expect = PLAN_EXPECT_REPLY;
	plan->load = PLAN_OPEN;
	plan->pipeline = 8;
	plan->reconnect = true;
	assert_int_equal(reply_parse("upper", &plan->reply, error, PLAN_ERROR_MAX), 0);
}

static void
fill_generator(struct rig *rig)
{
	struct generator *g = &rig->generator;

	*g = (struct generator){
		.plan = &rig->plan,
		.sequence = &rig->sequence,
		.expectation = &rig->expectation,
		.tally = tallies_at(&rig->tallies, 0),
		.board = rig->tallies.board,
		.callers = &rig->caller,
		.active = rig->active,
		.dials.entries = rig->dials,
		.count = 1,
		.unfinished = 1,
		.epoll_fd = epoll_create1(0),
		.parent_fd = -1,
		.ready = GENERATOR_NONE,
		.now_ns = generator_clock(),
		.end_ns = UINT64_MAX,
		.arrivals.next_ns = PACE_NEVER,
		.is_running = true,
		.received = malloc(GENERATOR_BUFFER),
		.outgoing = malloc(GENERATOR_BUFFER),
	};
	assert_int_equal(wheel_init(&g->wheel, 1, g->now_ns), 0);
	assert_int_equal(
	    verify_init(&g->verify, &rig->expectation, &g->board->expect, g->tally, 1),
	    0);
	flights_init(&g->flights);
	caller_init(&rig->caller);
}

static int
set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	char error[PLAN_ERROR_MAX];

	assert_non_null(rig);
	fill_plan(&rig->plan);
	listen_at(rig, 8);
	assert_int_equal(sequence_open(&rig->plan, &rig->sequence, error), 0);
	assert_int_equal(
	    expectation_open(&rig->plan, &rig->sequence, &rig->expectation), 0);
	assert_int_equal(tallies_open(&rig->tallies, 1), 0);
	fill_generator(rig);
	rig->peer = -1;
	*state = rig;
	return 0;
}

/* At any time, and so at the end of each test. */
static void
it_adds_up(const struct rig *rig)
{
	const struct tally_messages *m = &rig->generator.tally->messages;

	assert_true(tally_get(&m->sent) ==
	    tally_get(&m->verified) + tally_get(&m->wrong) + tally_lost(m) +
		tally_get(&m->in_flight));
	assert_true(tally_get(&m->in_flight) == rig->generator.in_flight);
	assert_true(rig->caller.in_flight == rig->generator.in_flight);
}

static int
tear_down(void **state)
{
	struct rig *rig = *state;

	it_adds_up(rig);
	if (rig->caller.fd >= 0)
		close(rig->caller.fd);
	if (rig->peer >= 0)
		close(rig->peer);
	close(rig->listener);
	close(rig->generator.epoll_fd);
	verify_finish(&rig->generator.verify);
	wheel_finish(&rig->generator.wheel);
	flights_finish(&rig->generator.flights);
	free(rig->generator.received);
	free(rig->generator.outgoing);
	tallies_close(&rig->tallies);
	expectation_close(&rig->expectation);
	sequence_close(&rig->sequence);
	reply_finish(&rig->plan.reply);
	free(rig);
	return 0;
}

/* Waits for something to happen to the caller's socket, and tells the caller. */
static void
turn(struct rig *rig)
{
	struct epoll_event event;

	assert_int_equal(
	    epoll_wait(rig->generator.epoll_fd, &event, 1, PATIENCE_MS), 1);
	rig->generator.now_ns = generator_clock();
	caller_on_event(&rig->generator, &rig->caller, event.events);
	it_adds_up(rig);
}

static void
call(struct rig *rig)
{
	generator_put_dial(&rig->generator, &rig->caller);
	dial(&rig->generator, generator_next_dial(&rig->generator));
}

static void
connect_both(struct rig *rig)
{
	call(rig);
	rig->peer = accept(rig->listener, NULL, NULL);
	assert_true(rig->peer >= 0);
	turn(rig);
	assert_int_equal(rig->caller.state, CALLER_OPEN);
}

static void
send_messages(struct rig *rig, int count)
{
	rig->generator.now_ns = generator_clock();
	for (int i = 0; i < count; i++)
		assert_true(caller_schedule(
		    &rig->generator, &rig->caller, rig->generator.now_ns));
	caller_advance(&rig->generator, &rig->caller);
	it_adds_up(rig);
}

static void
peer_reads(struct rig *rig, size_t length)
{
	char bytes[64];

	assert_int_equal(recv(rig->peer, bytes, length, MSG_WAITALL), (int)length);
}

static void
peer_answers(struct rig *rig, int count)
{
	for (int i = 0; i < count; i++)
		assert_int_equal(
		    send(rig->peer, ANSWER, strlen(ANSWER), 0), (int)strlen(ANSWER));
}

static void
peer_closes(struct rig *rig)
{
	close(rig->peer);
	rig->peer = -1;
}

/* Until the peer's end, or what it sent, is in our socket. */
static void
wait_for_the_reset(const struct rig *rig)
{
	struct epoll_event event = { .events = 0 };
	int fd = epoll_create1(0), n = 0;

	assert_int_equal(epoll_ctl(fd, EPOLL_CTL_ADD, rig->caller.fd, &event), 0);
	n = epoll_wait(fd, &event, 1, PATIENCE_MS); /* HUP and ERR always come */
	assert_int_equal(n, 1);
	close(fd);
}

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
	generator_put_ready(&rig->generator, &rig->caller);
	call(rig);
	assert_int_equal(rig->caller.state, CALLER_CONNECTING);
	caller_on_ready(&rig->generator, &rig->caller);
	assert_int_equal(rig->caller.state, CALLER_CONNECTING);
	assert_true(tally_get(&rig->generator.tally->connections_established) == 0);
	for (int i = 0; i < 4; i++)
		close(waiting[i]);
}

static void
an_answer_that_came_before_a_reset_counts_though_the_next_send_finds_the_reset(
    void **state)
{
	struct rig *rig = *state;
	const struct tally *tally = rig->generator.tally;

	connect_both(rig);
	send_messages(rig, 3);
	peer_reads(rig, strlen(MESSAGE));
	peer_answers(rig, 2);
	peer_closes(rig); /* with bytes that it has not read: a reset */
	wait_for_the_reset(rig);
	send_messages(rig, 1);
	assert_true(tally_get(&tally->messages.sent) == 3);
	assert_true(tally_get(&tally->messages.verified) == 2);
	assert_true(tally_get(&tally->messages.lost[TALLY_LOST_RESET]) == 1);
	/* The fourth is due still, for the next connection. */
	assert_int_equal(rig->caller.due, 1);
	assert_int_equal(rig->caller.state, CALLER_WAITING);
}

static void
a_peer_that_closes_after_the_last_answer_of_a_connection_has_lost_nothing(void **state)
{
	struct rig *rig = *state;
	const struct tally *tally = rig->generator.tally;

	rig->plan.messages_per_connection = 2;
	connect_both(rig);
	send_messages(rig, 3);
	peer_reads(rig, 2 * strlen(MESSAGE));
	peer_answers(rig, 2);
	peer_closes(rig);
	turn(rig);
	if (rig->caller.state != CALLER_WAITING)
		turn(rig);
	assert_int_equal(rig->caller.state, CALLER_WAITING);
	assert_true(tally_get(&tally->messages.verified) == 2);
	assert_true(tally_get(&tally->connections_lost) == 0);
	assert_int_equal(rig->caller.due, 1);
}

static void
a_peer_that_closes_too_early_has_lost_what_was_in_flight(void **state)
{
	struct rig *rig = *state;
	const struct tally *tally = rig->generator.tally;

	connect_both(rig);
	send_messages(rig, 3);
	peer_reads(rig, 3 * strlen(MESSAGE));
	peer_answers(rig, 1);
	peer_closes(rig);
	while (rig->caller.state == CALLER_OPEN)
		turn(rig);
	assert_true(tally_get(&tally->messages.verified) == 1);
	assert_true(tally_get(&tally->messages.lost[TALLY_LOST_CLOSED]) == 2);
	assert_true(tally_get(&tally->connections_lost) == 1);
	assert_true(tally_get(&tally->connections_reset) == 0);
}

static void
an_answer_and_the_end_in_one_event_are_both_seen(void **state)
{
	struct rig *rig = *state;
	const struct tally *tally = rig->generator.tally;

	rig->plan.messages = 1;
	connect_both(rig);
	send_messages(rig, 1);
	peer_reads(rig, strlen(MESSAGE));
	peer_answers(rig, 1);
	shutdown(rig->peer, SHUT_WR);
	while (rig->caller.state == CALLER_OPEN)
		turn(rig);
	if (rig->caller.state == CALLER_CLOSING)
		turn(rig);
	assert_int_equal(rig->caller.state, CALLER_DONE);
	assert_true(tally_get(&tally->messages.verified) == 1);
	assert_true(tally_get(&tally->connections_lost) == 0);
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
	rig->caller.scheduled = rig->caller.send.message = g->round = many;
	rig->caller.answers.cursor = rig->caller.send;
	atomic_store(&g->board->round, many);
	atomic_store(&g->tally->rounds_done, many);
	for (uint64_t round = many; round < many + 2; round++) {
		rhythm_step(g);
		assert_int_equal(g->in_flight, 1);
		peer_reads(rig, strlen(MESSAGE));
		peer_answers(rig, 1);
		turn(rig);
		assert_int_equal(g->in_flight, 0);
	}
	assert_true(tally_get(&g->tally->messages.verified) == 2);
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
		RUN(rounds_of_lockstep_go_on_beyond_32_bits),
#undef RUN
	};

	return cmocka_run_group_tests_name("caller", tests, NULL, NULL);
}
