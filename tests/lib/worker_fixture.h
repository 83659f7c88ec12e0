/*
 * worker_fixture.h - a worker without its process: a real loop, a ledger and one
 * listener. A test serves one end of a socket pair as an accepted connection.
 */
#ifndef TESTS_WORKER_FIXTURE_H
#define TESTS_WORKER_FIXTURE_H

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <event2/event.h>
#include <netinet/in.h>

#include "lib/shared_memory.h"
#include "proto/ledger.h"
#include "proto/reply.h"
#include "tests/lib/must.h"
#include "worker/connection/connection.h"
#include "worker/connection/connection_io.h"
#include "worker/connection/responder.h"
#include "worker/connection/worker_state.h"
#include "worker/drain.h"
#include "worker/timeouts.h"

struct worker_fixture {
	struct config config;
	struct listener_config listener_config;
	struct worker_listener listener;
	struct worker worker;
	struct ledger *ledger;
	uint32_t listener_number; /* in the ledger */
};

static inline void
worker_fixture_start(struct worker_fixture *w, const char *reply, enum framing framing,
    uint64_t max_message, uint64_t max_pending)
{
	char error[256];

	memset(w, 0, sizeof(*w));
	must(reply_parse(reply, &w->listener_config.reply, error, sizeof(error)) == 0);
	w->listener_config.address_text = (char *)"127.0.0.1:0";
	w->listener_config.framing = framing;
	w->listener_config.max_message = max_message;
	w->config.listeners = &w->listener_config;
	w->config.listener_count = 1;
	w->config.limits.max_pending = max_pending;
	w->ledger = ledger_create(10000);
	must(w->ledger != NULL);
	w->worker.config = &w->config;
	w->worker.ledger = w->ledger;
	int entry = ledger_claim(w->ledger, 0);
	must(entry >= 0);
	w->worker.ledger_entry = (uint32_t)entry;
	w->worker.worker_ledger = ledger_open_entry(w->ledger, (uint32_t)entry);
	must(w->worker.worker_ledger != NULL);
	w->listener_number = ledger_register_listener(w->ledger, "the listener");
	w->worker.base = event_base_new();
	must(crash_region_create_private(&w->worker.region) == 0);
	w->worker.record = w->worker.region.record;
	w->worker.input = w->worker.region.input;
	w->worker.accept.spare_fd = -1;
	must(w->worker.base && responder_init(&w->worker.batch) == 0);
	drain_init(&w->worker);
	/* As with epoll; a test may set it to 0, as with poll. */
	w->worker.edge_events = EV_ET | EV_CLOSED;
	w->listener = (struct worker_listener){
		.worker = &w->worker,
		.config = &w->listener_config,
		.block = &w->worker.worker_ledger->by_listener[w->listener_number],
		.fd = -1,
		.transport = &transport_tcp,
		.on_event = connection_io_callback(&transport_tcp),
	};
	responder_prepare(&w->listener);
}

static inline bool
worker_fixture_close_one(struct connection *connection, void *argument)
{
	(void)argument;
	connection_close(connection, CLOSE_STOPPED);
	return true;
}

static inline void
worker_fixture_finish(struct worker_fixture *w)
{
	connection_pool_for_each(
	    &w->worker.connections, worker_fixture_close_one, NULL);
	must(LIST_EMPTY(&w->worker.queued_outputs) && w->worker.lingering_count == 0);
	event_base_free(w->worker.base);
	crash_region_destroy(&w->worker.region);
	responder_finish(&w->worker.batch);
	connection_pool_finish(&w->worker.connections);
	reply_finish(&w->listener_config.reply);
	shared_memory_unmap(w->worker.worker_ledger, sizeof(struct worker_ledger));
	ledger_destroy(w->ledger);
}

/* Serves `fd` as if it had just been accepted. */
static inline void
worker_fixture_serve(struct worker_fixture *w, int fd)
{
	struct address peer = { .length = sizeof(struct sockaddr_in) };
	struct sockaddr_in *in = (struct sockaddr_in *)&peer.storage;

	in->sin_family = AF_INET;
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ledger_count(w->listener.block, LEDGER_CONNECTIONS_ACCEPTED, 1);
	connection_open(&w->listener, fd, &peer);
}

static inline bool
worker_fixture_find_any(struct connection *connection, void *argument)
{
	*(struct connection **)argument = connection;
	return false;
}

/* The only connection, or NULL. */
static inline struct connection *
worker_fixture_connection(struct worker_fixture *w)
{
	struct connection *connection = NULL;

	connection_pool_for_each(
	    &w->worker.connections, worker_fixture_find_any, &connection);
	return connection;
}

/* Both ends non-blocking; a small `buffer` makes sends partial (0: the default). */
static inline void
open_unix_pair(int fds[2], int buffer)
{
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) ==
	    0);
	for (int i = 0; buffer != 0 && i < 2; i++)
		must(setsockopt(
			 fds[i], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer)) == 0);
}

static inline void
open_tcp_pair(int fds[2], int buffer)
{
	struct sockaddr_in name = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t length = sizeof(name);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	must(listener >= 0 && bind(listener, (struct sockaddr *)&name, length) == 0);
	if (buffer != 0)
		setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	must(listen(listener, 1) == 0);
	must(getsockname(listener, (struct sockaddr *)&name, &length) == 0);
	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (buffer != 0)
		setsockopt(fds[0], SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	must(connect(fds[0], (struct sockaddr *)&name, length) == 0);
	fds[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	must(fds[1] >= 0 && fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0);
	close(listener);
}

/* Runs the events that are ready now. */
static inline void
worker_fixture_run_once(struct worker_fixture *w)
{
	must(event_base_loop(w->worker.base, EVLOOP_ONCE | EVLOOP_NONBLOCK) >= 0);
}

static inline uint64_t
worker_fixture_clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Runs the loop until the condition is true, for ten seconds at most. */
#define worker_fixture_run_until(w, is_so)                                             \
	({                                                                             \
		uint64_t end_ms = worker_fixture_clock_ms() + 10000;                   \
		bool is_over = false;                                                  \
		while (!(is_so) && !is_over) {                                         \
			worker_fixture_run_once(w);                                    \
			usleep(100);                                                   \
			is_over = worker_fixture_clock_ms() > end_ms;                  \
		}                                                                      \
		!is_over;                                                              \
	})

/* A number that changes whenever the worker did something. */
static inline uint64_t
worker_fixture_progress(const struct worker_fixture *w)
{
	struct ledger_totals totals = { 0 };
	uint64_t sum = w->worker.lingering_count;

	ledger_add_worker(&totals, w->ledger, w->worker.ledger_entry);
	for (int i = 0; i < LEDGER_COUNTER_COUNT; i++)
		sum += totals.counters[i];
	return sum + ledger_closed(&totals);
}

static inline uint64_t
worker_fixture_count(const struct worker_fixture *w, enum ledger_counter counter)
{
	struct ledger_totals totals = { 0 };

	ledger_add_worker(&totals, w->ledger, w->worker.ledger_entry);
	return totals.counters[counter];
}

static inline uint64_t
worker_fixture_closed(const struct worker_fixture *w, enum close_reason reason)
{
	return atomic_load(&w->listener.block->closed[reason]);
}

/* Accepted + moved in = open + closed + moved out, and open is the size of the pool. */
static inline bool
worker_fixture_is_balanced(const struct worker_fixture *w)
{
	struct ledger_totals totals = { 0 };

	ledger_add_worker(&totals, w->ledger, w->worker.ledger_entry);
	return ledger_open(&totals) == w->worker.connections.count &&
	    atomic_load(&w->worker.worker_ledger->open.total) ==
	    (uint64_t)w->worker.connections.count << 32 &&
	    atomic_load(&w->listener.block->open) == w->worker.connections.count &&
	    atomic_load(&w->worker.worker_ledger->open.sent) == 0 &&
	    totals.counters[LEDGER_CONNECTIONS_ACCEPTED] +
		totals.counters[LEDGER_CONNECTIONS_MOVED_IN] ==
	    w->worker.connections.count + ledger_closed(&totals) +
		totals.counters[LEDGER_CONNECTIONS_MOVED_OUT];
}

#endif
