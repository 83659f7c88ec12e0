/*
 * conn_fixture.h - a load process with one connection and its peer. The test drives the
 * loop: run_once() waits for one event and handles it.
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
/* cmocka needs some of the above */
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "lib/clock.h"
#include "client/load/conn.h"
#include "client/load/traffic.h"
#include "client/loop/phases.h"

#define MESSAGE "hello"
#define ANSWER "HELLO"
#define TIMEOUT_MS 2000

struct conn_fixture {
	struct plan plan;
	struct sequence sequence;
	struct expectation expectation;
	struct counters_map counters_map;
	struct load_context ctx;
	struct conn conn;
	uint32_t active[1], connect_queue[1];
	int listener;
	int peer; /* accepted; -1: closed by the test */
};

static inline void
listen_at(struct conn_fixture *fixture, int backlog)
{
	struct sockaddr_in *address = (void *)&fixture->plan.targets[0].addresses[0];
	socklen_t length = sizeof(*address);

	address->sin_family = AF_INET;
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fixture->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fixture->listener, (void *)address, length), 0);
	assert_int_equal(listen(fixture->listener, backlog), 0);
	assert_int_equal(getsockname(fixture->listener, (void *)address, &length), 0);
	fixture->plan.targets[0].addresses[0].length = length;
	fixture->plan.targets[0].address_count = fixture->plan.target_count = 1;
	fixture->plan.targets[0].text = "peer";
	fixture->plan.targets[0].transport = &transport_tcp;
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
fill_context(struct conn_fixture *fixture)
{
	struct load_context *g = &fixture->ctx;

	*g = (struct load_context){
		.plan = &fixture->plan,
		.traffic = &traffic_messages,
		.sequence = &fixture->sequence,
		.expectation = &fixture->expectation,
		.counters = counters_map_at(&fixture->counters_map, 0),
		.control_block = fixture->counters_map.control_block,
		.conns = &fixture->conn,
		.active.list = fixture->active,
		.connects.queue = fixture->connect_queue,
		.count = 1,
		.unfinished = 1,
		.epoll_fd = epoll_create1(0),
		.parent_fd = -1,
		.ready = LOAD_NO_CONN,
		.times.now_ns = clock_now_ns(),
		.times.end_ns = UINT64_MAX,
		.arrivals.next_ns = PACER_NEVER,
		.is_running = true,
		.buffers.received = malloc(LOAD_BUFFER_BYTES),
		.buffers.outgoing = malloc(LOAD_BUFFER_BYTES),
	};
	timer_wheel_init(&g->timer_wheel, 1, g->times.now_ns);
	g->traffic->start(g);
	message_queue_pool_init(&g->message_pool);
	conn_state_init(&fixture->conn);
}

static inline int
set_up(void **state)
{
	struct conn_fixture *fixture = calloc(1, sizeof(*fixture));
	char error[PLAN_ERROR_MAX];

	assert_non_null(fixture);
	fill_plan(&fixture->plan);
	listen_at(fixture, 8);
	assert_int_equal(sequence_open(&fixture->plan, &fixture->sequence, error), 0);
	expectation_open(&fixture->plan, &fixture->sequence, &fixture->expectation);
	assert_int_equal(counters_map_open(&fixture->counters_map, 1, 0), 0);
	fill_context(fixture);
	fixture->peer = -1;
	*state = fixture;
	return 0;
}

/* Invariant. */
static inline void
check_message_counts(const struct conn_fixture *fixture)
{
	const struct counters_messages *m = &fixture->ctx.counters->messages;

	assert_true(counters_get(&m->sent) ==
	    counters_get(&m->verified) + counters_get(&m->wrong) + counters_lost(m) +
		counters_get(&m->in_flight));
	assert_true(counters_get(&m->in_flight) == fixture->ctx.in_flight);
	assert_true(fixture->conn.in_flight == fixture->ctx.in_flight);
}

static inline int
tear_down(void **state)
{
	struct conn_fixture *fixture = *state;

	check_message_counts(fixture);
	if (fixture->conn.stream.fd >= 0)
		close(fixture->conn.stream.fd);
	if (fixture->peer >= 0)
		close(fixture->peer);
	close(fixture->listener);
	close(fixture->ctx.epoll_fd);
	fixture->ctx.traffic->finish(&fixture->ctx);
	timer_wheel_finish(&fixture->ctx.timer_wheel);
	message_queue_pool_finish(&fixture->ctx.message_pool);
	free(fixture->ctx.buffers.received);
	free(fixture->ctx.buffers.outgoing);
	counters_map_close(&fixture->counters_map);
	expectation_close(&fixture->expectation);
	sequence_close(&fixture->sequence);
	reply_finish(&fixture->plan.reply);
	free(fixture);
	return 0;
}

/* Waits for an event of the connection's socket, and handles it. */
static inline void
run_once(struct conn_fixture *fixture)
{
	struct epoll_event event;

	assert_int_equal(epoll_wait(fixture->ctx.epoll_fd, &event, 1, TIMEOUT_MS), 1);
	fixture->ctx.times.now_ns = clock_now_ns();
	conn_on_event(&fixture->ctx, &fixture->conn, event.events);
	check_message_counts(fixture);
}

static inline void
start_connect(struct conn_fixture *fixture)
{
	conn_state_enqueue_connect(&fixture->ctx, &fixture->conn);
	conn_start(&fixture->ctx, conn_state_dequeue_connect(&fixture->ctx));
}

static inline void
connect_both(struct conn_fixture *fixture)
{
	start_connect(fixture);
	fixture->peer = accept(fixture->listener, NULL, NULL);
	assert_true(fixture->peer >= 0);
	run_once(fixture);
	assert_int_equal(fixture->conn.state, CONN_OPEN);
}

static inline void
send_messages(struct conn_fixture *fixture, int count)
{
	fixture->ctx.times.now_ns = clock_now_ns();
	for (int i = 0; i < count; i++)
		assert_true(conn_state_schedule(
		    &fixture->ctx, &fixture->conn, fixture->ctx.times.now_ns));
	conn_advance(&fixture->ctx, &fixture->conn);
	check_message_counts(fixture);
}

static inline void
peer_reads(struct conn_fixture *fixture, size_t length)
{
	char bytes[64];

	assert_int_equal(recv(fixture->peer, bytes, length, MSG_WAITALL), (int)length);
}

static inline void
peer_answers(struct conn_fixture *fixture, int count)
{
	for (int i = 0; i < count; i++)
		assert_int_equal(send(fixture->peer, ANSWER, strlen(ANSWER), 0),
		    (int)strlen(ANSWER));
}

static inline void
peer_closes(struct conn_fixture *fixture)
{
	close(fixture->peer);
	fixture->peer = -1;
}

static inline void
peer_closes_and_conn_notices(struct conn_fixture *fixture)
{
	peer_closes(fixture);
	while (fixture->conn.state == CONN_OPEN)
		run_once(fixture);
}

/* Waits until our socket has received the peer's RST. */
static inline void
wait_for_reset(const struct conn_fixture *fixture)
{
	struct epoll_event event = { .events = 0 };
	int fd = epoll_create1(0), n = 0;

	assert_int_equal(
	    epoll_ctl(fd, EPOLL_CTL_ADD, fixture->conn.stream.fd, &event), 0);
	n = epoll_wait(
	    fd, &event, 1, TIMEOUT_MS); /* EPOLLHUP and EPOLLERR are always reported */
	assert_int_equal(n, 1);
	close(fd);
}

#endif
