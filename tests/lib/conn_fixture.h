/*
 * conn_fixture.h - a generator with one caller, whose loop the test turns by hand, and
 * its peer. For the tests of what a caller does.
 */
#ifndef TESTS_CONN_FIXTURE_H
#define TESTS_CONN_FIXTURE_H

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

#include "lib/clock.h"

#include "client/load/conn_connect.h"
#include "client/load/generator.h"
#include "client/load/phases.h"

#define MESSAGE "hello"
#define ANSWER "HELLO"
#define TIMEOUT_MS 2000

struct conn_fixture {
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
listen_at(struct conn_fixture *conn_fixture, int backlog)
{
	struct sockaddr_in *address =
	    (void *)&conn_fixture->plan.targets[0].addresses[0];
	socklen_t length = sizeof(*address);

	address->sin_family = AF_INET;
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	conn_fixture->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(conn_fixture->listener, (void *)address, length), 0);
	assert_int_equal(listen(conn_fixture->listener, backlog), 0);
	assert_int_equal(
	    getsockname(conn_fixture->listener, (void *)address, &length), 0);
	conn_fixture->plan.targets[0].addresses[0].length = length;
	conn_fixture->plan.targets[0].address_count = conn_fixture->plan.target_count =
	    1;
	conn_fixture->plan.targets[0].text = "peer";
}

static inline void
fill_plan(struct plan *plan)
{
	static const char *texts[] = { MESSAGE };
	char error[PLAN_ERROR_MAX];

	plan_init(plan);
	plan->connections = plan->rank_connections = plan->processes = 1;
	plan->texts = (struct option_list){ texts, 1 };
	plan->expect = PLAN_EXPECT_REPLY;
	plan->load = PLAN_OPEN;
	plan->pipeline = 8;
	plan->reconnect = true;
	assert_int_equal(reply_parse("upper", &plan->reply, error, PLAN_ERROR_MAX), 0);
}

static inline void
fill_generator(struct conn_fixture *conn_fixture)
{
	struct generator *g = &conn_fixture->generator;

	*g = (struct generator){
		.plan = &conn_fixture->plan,
		.sequence = &conn_fixture->sequence,
		.expectation = &conn_fixture->expectation,
		.counters = counters_map_at(&conn_fixture->counters_map, 0),
		.control_block = conn_fixture->counters_map.control_block,
		.conns = &conn_fixture->conn,
		.active = conn_fixture->active,
		.connect_queue.entries = conn_fixture->connect_queue,
		.count = 1,
		.unfinished = 1,
		.epoll_fd = epoll_create1(0),
		.parent_fd = -1,
		.ready = GENERATOR_NONE,
		.now_ns = clock_now_ns(),
		.end_ns = UINT64_MAX,
		.arrivals.next_ns = PACER_NEVER,
		.is_running = true,
		.received = malloc(GENERATOR_BUFFER),
		.outgoing = malloc(GENERATOR_BUFFER),
	};
	assert_int_equal(timer_wheel_init(&g->timer_wheel, 1, g->now_ns), 0);
	assert_int_equal(verify_init(&g->verify, &conn_fixture->expectation,
			     &g->control_block->expect, g->counters, 1),
	    0);
	message_queue_pool_init(&g->message_pool);
	conn_init(&conn_fixture->conn);
}

static inline int
set_up(void **state)
{
	struct conn_fixture *conn_fixture = calloc(1, sizeof(*conn_fixture));
	char error[PLAN_ERROR_MAX];

	assert_non_null(conn_fixture);
	fill_plan(&conn_fixture->plan);
	listen_at(conn_fixture, 8);
	assert_int_equal(
	    sequence_open(&conn_fixture->plan, &conn_fixture->sequence, error), 0);
	assert_int_equal(expectation_open(&conn_fixture->plan, &conn_fixture->sequence,
			     &conn_fixture->expectation),
	    0);
	assert_int_equal(counters_map_open(&conn_fixture->counters_map, 1), 0);
	fill_generator(conn_fixture);
	conn_fixture->peer = -1;
	*state = conn_fixture;
	return 0;
}

/* At any time, and so at the end of each test. */
static inline void
check_message_counts(const struct conn_fixture *conn_fixture)
{
	const struct counters_messages *m = &conn_fixture->generator.counters->messages;

	assert_true(counters_get(&m->sent) ==
	    counters_get(&m->verified) + counters_get(&m->wrong) + counters_lost(m) +
		counters_get(&m->in_flight));
	assert_true(counters_get(&m->in_flight) == conn_fixture->generator.in_flight);
	assert_true(conn_fixture->conn.in_flight == conn_fixture->generator.in_flight);
}

static inline int
tear_down(void **state)
{
	struct conn_fixture *conn_fixture = *state;

	check_message_counts(conn_fixture);
	if (conn_fixture->conn.fd >= 0)
		close(conn_fixture->conn.fd);
	if (conn_fixture->peer >= 0)
		close(conn_fixture->peer);
	close(conn_fixture->listener);
	close(conn_fixture->generator.epoll_fd);
	verify_finish(&conn_fixture->generator.verify);
	timer_wheel_finish(&conn_fixture->generator.timer_wheel);
	message_queue_pool_finish(&conn_fixture->generator.message_pool);
	free(conn_fixture->generator.received);
	free(conn_fixture->generator.outgoing);
	counters_map_close(&conn_fixture->counters_map);
	expectation_close(&conn_fixture->expectation);
	sequence_close(&conn_fixture->sequence);
	reply_finish(&conn_fixture->plan.reply);
	free(conn_fixture);
	return 0;
}

/* Waits for something to happen to the caller's socket, and tells the caller. */
static inline void
run_once(struct conn_fixture *conn_fixture)
{
	struct epoll_event event;

	assert_int_equal(
	    epoll_wait(conn_fixture->generator.epoll_fd, &event, 1, TIMEOUT_MS), 1);
	conn_fixture->generator.now_ns = clock_now_ns();
	conn_on_event(&conn_fixture->generator, &conn_fixture->conn, event.events);
	check_message_counts(conn_fixture);
}

static inline void
start_connect(struct conn_fixture *conn_fixture)
{
	generator_enqueue_connect(&conn_fixture->generator, &conn_fixture->conn);
	conn_connect(&conn_fixture->generator,
	    generator_dequeue_connect(&conn_fixture->generator));
}

static inline void
connect_both(struct conn_fixture *conn_fixture)
{
	start_connect(conn_fixture);
	conn_fixture->peer = accept(conn_fixture->listener, NULL, NULL);
	assert_true(conn_fixture->peer >= 0);
	run_once(conn_fixture);
	assert_int_equal(conn_fixture->conn.state, CONN_OPEN);
}

static inline void
send_messages(struct conn_fixture *conn_fixture, int count)
{
	conn_fixture->generator.now_ns = clock_now_ns();
	for (int i = 0; i < count; i++)
		assert_true(conn_schedule(&conn_fixture->generator, &conn_fixture->conn,
		    conn_fixture->generator.now_ns));
	conn_advance(&conn_fixture->generator, &conn_fixture->conn);
	check_message_counts(conn_fixture);
}

static inline void
peer_reads(struct conn_fixture *conn_fixture, size_t length)
{
	char bytes[64];

	assert_int_equal(
	    recv(conn_fixture->peer, bytes, length, MSG_WAITALL), (int)length);
}

static inline void
peer_answers(struct conn_fixture *conn_fixture, int count)
{
	for (int i = 0; i < count; i++)
		assert_int_equal(send(conn_fixture->peer, ANSWER, strlen(ANSWER), 0),
		    (int)strlen(ANSWER));
}

static inline void
peer_closes(struct conn_fixture *conn_fixture)
{
	close(conn_fixture->peer);
	conn_fixture->peer = -1;
}

static inline void
peer_closes_and_conn_notices(struct conn_fixture *conn_fixture)
{
	peer_closes(conn_fixture);
	while (conn_fixture->conn.state == CONN_OPEN)
		run_once(conn_fixture);
}

/* Until the peer's end, or what it sent, is in our socket. */
static inline void
wait_for_the_reset(const struct conn_fixture *conn_fixture)
{
	struct epoll_event event = { .events = 0 };
	int fd = epoll_create1(0), n = 0;

	assert_int_equal(
	    epoll_ctl(fd, EPOLL_CTL_ADD, conn_fixture->conn.fd, &event), 0);
	n = epoll_wait(fd, &event, 1, TIMEOUT_MS); /* HUP and ERR always come */
	assert_int_equal(n, 1);
	close(fd);
}

#endif
