/*
 * one_caller.h - a generator with one caller, whose loop the test turns by hand, and
 * its peer. For the tests of what a caller does.
 */
#ifndef TESTS_ONE_CALLER_H
#define TESTS_ONE_CALLER_H

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

static inline void
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

static inline void
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

static inline void
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

static inline int
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
static inline void
it_adds_up(const struct rig *rig)
{
	const struct tally_messages *m = &rig->generator.tally->messages;

	assert_true(tally_get(&m->sent) ==
	    tally_get(&m->verified) + tally_get(&m->wrong) + tally_lost(m) +
		tally_get(&m->in_flight));
	assert_true(tally_get(&m->in_flight) == rig->generator.in_flight);
	assert_true(rig->caller.in_flight == rig->generator.in_flight);
}

static inline int
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
static inline void
turn(struct rig *rig)
{
	struct epoll_event event;

	assert_int_equal(
	    epoll_wait(rig->generator.epoll_fd, &event, 1, PATIENCE_MS), 1);
	rig->generator.now_ns = generator_clock();
	caller_on_event(&rig->generator, &rig->caller, event.events);
	it_adds_up(rig);
}

static inline void
call(struct rig *rig)
{
	generator_put_dial(&rig->generator, &rig->caller);
	dial(&rig->generator, generator_next_dial(&rig->generator));
}

static inline void
connect_both(struct rig *rig)
{
	call(rig);
	rig->peer = accept(rig->listener, NULL, NULL);
	assert_true(rig->peer >= 0);
	turn(rig);
	assert_int_equal(rig->caller.state, CALLER_OPEN);
}

static inline void
send_messages(struct rig *rig, int count)
{
	rig->generator.now_ns = generator_clock();
	for (int i = 0; i < count; i++)
		assert_true(caller_schedule(
		    &rig->generator, &rig->caller, rig->generator.now_ns));
	caller_advance(&rig->generator, &rig->caller);
	it_adds_up(rig);
}

static inline void
peer_reads(struct rig *rig, size_t length)
{
	char bytes[64];

	assert_int_equal(recv(rig->peer, bytes, length, MSG_WAITALL), (int)length);
}

static inline void
peer_answers(struct rig *rig, int count)
{
	for (int i = 0; i < count; i++)
		assert_int_equal(
		    send(rig->peer, ANSWER, strlen(ANSWER), 0), (int)strlen(ANSWER));
}

static inline void
peer_closes(struct rig *rig)
{
	close(rig->peer);
	rig->peer = -1;
}

static inline void
peer_closes_and_is_heard(struct rig *rig)
{
	peer_closes(rig);
	while (rig->caller.state == CALLER_OPEN)
		turn(rig);
}

/* Until the peer's end, or what it sent, is in our socket. */
static inline void
wait_for_the_reset(const struct rig *rig)
{
	struct epoll_event event = { .events = 0 };
	int fd = epoll_create1(0), n = 0;

	assert_int_equal(epoll_ctl(fd, EPOLL_CTL_ADD, rig->caller.fd, &event), 0);
	n = epoll_wait(fd, &event, 1, PATIENCE_MS); /* HUP and ERR always come */
	assert_int_equal(n, 1);
	close(fd);
}

#endif
