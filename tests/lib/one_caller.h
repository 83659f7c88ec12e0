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

#include "client/load/conn_connect.h"
#include "client/load/generator.h"
#include "client/load/phases.h"

#define MESSAGE "hello"
#define ANSWER "HELLO"
#define PATIENCE_MS 2000

struct rig {
	struct plan plan;
	struct sequence sequence;
	struct expectation expectation;
	struct counters_map counters_map;
	struct generator generator;
	struct conn conn;
	uint32_t active[1], connect_queue[1];
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
		.counters = counters_map_at(&rig->counters_map, 0),
		.control_block = rig->counters_map.control_block,
		.conns = &rig->conn,
		.active = rig->active,
		.connect_queue.entries = rig->connect_queue,
		.count = 1,
		.unfinished = 1,
		.epoll_fd = epoll_create1(0),
		.parent_fd = -1,
		.ready = GENERATOR_NONE,
		.now_ns = generator_clock(),
		.end_ns = UINT64_MAX,
		.arrivals.next_ns = PACER_NEVER,
		.is_running = true,
		.received = malloc(GENERATOR_BUFFER),
		.outgoing = malloc(GENERATOR_BUFFER),
	};
	assert_int_equal(timer_wheel_init(&g->timer_wheel, 1, g->now_ns), 0);
	assert_int_equal(verify_init(&g->verify, &rig->expectation,
			     &g->control_block->expect, g->counters, 1),
	    0);
	message_queue_pool_init(&g->message_pool);
	conn_init(&rig->conn);
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
	assert_int_equal(counters_map_open(&rig->counters_map, 1), 0);
	fill_generator(rig);
	rig->peer = -1;
	*state = rig;
	return 0;
}

/* At any time, and so at the end of each test. */
static inline void
it_adds_up(const struct rig *rig)
{
	const struct counters_messages *m = &rig->generator.counters->messages;

	assert_true(counters_get(&m->sent) ==
	    counters_get(&m->verified) + counters_get(&m->wrong) + counters_lost(m) +
		counters_get(&m->in_flight));
	assert_true(counters_get(&m->in_flight) == rig->generator.in_flight);
	assert_true(rig->conn.in_flight == rig->generator.in_flight);
}

static inline int
tear_down(void **state)
{
	struct rig *rig = *state;

	it_adds_up(rig);
	if (rig->conn.fd >= 0)
		close(rig->conn.fd);
	if (rig->peer >= 0)
		close(rig->peer);
	close(rig->listener);
	close(rig->generator.epoll_fd);
	verify_finish(&rig->generator.verify);
	timer_wheel_finish(&rig->generator.timer_wheel);
	message_queue_pool_finish(&rig->generator.message_pool);
	free(rig->generator.received);
	free(rig->generator.outgoing);
	counters_map_close(&rig->counters_map);
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
	conn_on_event(&rig->generator, &rig->conn, event.events);
	it_adds_up(rig);
}

static inline void
call(struct rig *rig)
{
	generator_enqueue_connect(&rig->generator, &rig->conn);
	conn_connect(&rig->generator, generator_dequeue_connect(&rig->generator));
}

static inline void
connect_both(struct rig *rig)
{
	call(rig);
	rig->peer = accept(rig->listener, NULL, NULL);
	assert_true(rig->peer >= 0);
	turn(rig);
	assert_int_equal(rig->conn.state, CONN_OPEN);
}

static inline void
send_messages(struct rig *rig, int count)
{
	rig->generator.now_ns = generator_clock();
	for (int i = 0; i < count; i++)
		assert_true(
		    conn_schedule(&rig->generator, &rig->conn, rig->generator.now_ns));
	conn_advance(&rig->generator, &rig->conn);
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
	while (rig->conn.state == CONN_OPEN)
		turn(rig);
}

/* Until the peer's end, or what it sent, is in our socket. */
static inline void
wait_for_the_reset(const struct rig *rig)
{
	struct epoll_event event = { .events = 0 };
	int fd = epoll_create1(0), n = 0;

	assert_int_equal(epoll_ctl(fd, EPOLL_CTL_ADD, rig->conn.fd, &event), 0);
	n = epoll_wait(fd, &event, 1, PATIENCE_MS); /* HUP and ERR always come */
	assert_int_equal(n, 1);
	close(fd);
}

#endif
