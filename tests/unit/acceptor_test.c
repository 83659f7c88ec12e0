#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <sys/resource.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "proto/channel.h"
#include "tests/lib/worker_fixture.h"
#include "worker/acceptor.h"
#include "worker/worker.h"

#define CLIENTS 20

struct fixture {
	struct worker_fixture w;
	struct sockaddr_in name;
	int clients[CLIENTS];
};

static int
listen_anywhere(struct sockaddr_in *ret)
{
	socklen_t length = sizeof(*ret);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*ret = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	must(fd >= 0 && bind(fd, (struct sockaddr *)ret, length) == 0);
	must(listen(fd, 100) == 0);
	must(getsockname(fd, (struct sockaddr *)ret, &length) == 0);
	return fd;
}

static void
start(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	worker_fixture_start(&f->w, "echo", FRAMING_STREAM, 1000, 1000);
	f->w.worker.limits.max_connections = 1000;
	f->w.worker.limits.fd_end = 1024;
	for (int i = 0; i < CLIENTS; i++)
		f->clients[i] = -1;
	struct worker_socket socket = { .fd = listen_anywhere(&f->name) };
	must(acceptor_start(&f->w.worker, &socket, 1) == 0);
}

static void
finish(struct fixture *f)
{
	assert_true(worker_fixture_is_balanced(&f->w));
	for (int i = 0; i < CLIENTS; i++) {
		if (f->clients[i] >= 0)
			close(f->clients[i]);
	}
	acceptor_stop(&f->w.worker);
	struct worker_listener *listeners = f->w.worker.accept.listeners;
	worker_fixture_finish(&f->w);
	free(listeners);
}

/* Clients first to last connect; each sends a byte. */
static void
connect_clients(struct fixture *f, int first, int last)
{
	for (int i = first; i <= last; i++) {
		f->clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		must(f->clients[i] >= 0);
		must(connect(f->clients[i], (struct sockaddr *)&f->name,
			 sizeof(f->name)) == 0);
		must(send(f->clients[i], "x", 1, MSG_NOSIGNAL) == 1);
	}
}

static uint64_t
accepted(const struct fixture *f)
{
	return worker_fixture_count(&f->w, LEDGER_CONNECTIONS_ACCEPTED);
}

static void
test_accepts_a_burst_in_small_batches(void **state)
{
	struct fixture f;
	uint64_t before = 0;

	(void)state;
	start(&f);
	connect_clients(&f, 0, CLIENTS - 1);
	while (before < CLIENTS) {
		worker_fixture_run_once(&f.w);
		assert_in_range(accepted(&f) - before, 1, 4);
		before = accepted(&f);
	}
	assert_true(worker_fixture_run_until(
	    &f.w, worker_fixture_count(&f.w, LEDGER_BYTES_SENT) == CLIENTS));
	finish(&f);
}

static void
test_denies_addresses_not_on_the_allow_list(void **state)
{
	static struct address_prefix allow[2];
	struct fixture f;
	char error[128];

	(void)state;
	assert_int_equal(address_prefix_parse("10.0.0.0/8", &allow[0], error, 128), 0);
	assert_int_equal(address_prefix_parse("::1", &allow[1], error, 128), 0);
	start(&f);
	f.w.listener_config.allow = allow;
	f.w.listener_config.allow_count = 2;
	connect_clients(&f, 0, 2);
	assert_true(worker_fixture_run_until(
	    &f.w, worker_fixture_closed(&f.w, CLOSE_DENIED) == 3));
	assert_int_equal(address_prefix_parse("127.0.0.0/8", &allow[1], error, 128), 0);
	connect_clients(&f, 3, 3);
	assert_true(worker_fixture_run_until(&f.w, f.w.worker.connections.count == 1));
	finish(&f);
}

static void
test_refuses_connections_over_the_max_connections_of_all_workers(void **state)
{
	struct fixture f;

	(void)state;
	start(&f);
	f.w.config.limits.max_connections = 5;
	/* Another worker holds two. */
	assert_int_equal(ledger_claim(f.w.ledger, 1), 1);
	struct worker_ledger *other = ledger_open_entry(f.w.ledger, 1);
	assert_non_null(other);
	open_count_change(&other->open, &(struct open_change){ .connections = 2 });
	connect_clients(&f, 0, 5);
	assert_true(worker_fixture_run_until(&f.w, accepted(&f) == 6));
	assert_int_equal(f.w.worker.connections.count, 3);
	assert_int_equal(worker_fixture_closed(&f.w, CLOSE_MAX_CONNECTIONS), 3);
	/* A closed connection makes room for one. */
	connection_close(worker_fixture_connection(&f.w), CLOSE_STOPPED);
	connect_clients(&f, 6, 7);
	assert_true(worker_fixture_run_until(&f.w, accepted(&f) == 8));
	assert_int_equal(f.w.worker.connections.count, 3);
	open_count_change(&other->open, &(struct open_change){ .connections = -2 });
	finish(&f);
}

static void
test_refuses_descriptors_that_the_method_cannot_watch(void **state)
{
	struct fixture f;

	(void)state;
	start(&f);
	f.w.worker.limits.fd_end = 0;
	connect_clients(&f, 0, 1);
	assert_true(worker_fixture_run_until(
	    &f.w, worker_fixture_closed(&f.w, CLOSE_METHOD_LIMIT) == 2));
	finish(&f);
}

static void
test_refuses_the_first_descriptor_that_the_method_cannot_watch(void **state)
{
	struct fixture f;

	(void)state;
	start(&f);
	connect_clients(&f, 0, 1);
	int next = dup(STDERR_FILENO);
	close(next);
	f.w.worker.limits.fd_end = next + 1;
	assert_true(worker_fixture_run_until(&f.w, accepted(&f) == 2));
	assert_int_equal(f.w.worker.connections.count, 1);
	assert_int_equal(worker_fixture_closed(&f.w, CLOSE_METHOD_LIMIT), 1);
	finish(&f);
}

static void
test_refuses_connections_over_the_limit_of_the_worker(void **state)
{
	struct fixture f;

	(void)state;
	start(&f);
	log_set_level(LOG_LEVEL_ERROR);
	f.w.worker.limits.max_connections = 2;
	connect_clients(&f, 0, 3);
	assert_true(worker_fixture_run_until(&f.w, accepted(&f) == 4));
	assert_int_equal(f.w.worker.connections.count, 2);
	assert_int_equal(worker_fixture_closed(&f.w, CLOSE_DESCRIPTOR_LIMIT), 2);
	log_set_level(LOG_LEVEL_INFO);
	finish(&f);
}

static void
test_the_deny_list_overrides_the_allow_list(void **state)
{
	static struct address_prefix all, local;
	struct fixture f;
	char error[128];

	(void)state;
	assert_int_equal(address_prefix_parse("127.0.0.0/8", &all, error, 128), 0);
	assert_int_equal(address_prefix_parse("127.0.0.1", &local, error, 128), 0);
	start(&f);
	f.w.listener_config.allow = &all;
	f.w.listener_config.allow_count = 1;
	f.w.listener_config.deny = &local;
	f.w.listener_config.deny_count = 1;
	connect_clients(&f, 0, 0);
	assert_true(worker_fixture_run_until(
	    &f.w, worker_fixture_closed(&f.w, CLOSE_DENIED) == 1));
	finish(&f);
}

/* Lets the process open no more descriptors; returns the previous limit. */
static struct rlimit
forbid_descriptors(void)
{
	struct rlimit previous = { 0 }, now;
	int next = dup(STDERR_FILENO);

	must(next >= 0 && getrlimit(RLIMIT_NOFILE, &previous) == 0);
	close(next);
	now = previous;
	now.rlim_cur = (rlim_t)next;
	must(setrlimit(RLIMIT_NOFILE, &now) == 0);
	return previous;
}

static void
test_without_descriptors_refuses_one_connection_and_keeps_the_others_queued(
    void **state)
{
	struct fixture f;
	char answer;

	(void)state;
	start(&f);
	connect_clients(&f, 0, 5);
	log_set_level(LOG_LEVEL_ERROR);
	struct rlimit previous = forbid_descriptors();
	uint64_t since_ms = worker_fixture_clock_ms();
	int turns = 0;
	while (worker_fixture_clock_ms() - since_ms < 350 || turns <= 20) {
		worker_fixture_run_once(&f.w);
		usleep(1000);
		turns++;
	}
	/* One per pause of 100 ms, not one per run of the loop. */
	uint64_t refused = worker_fixture_closed(&f.w, CLOSE_DESCRIPTOR_LIMIT);
	assert_in_range(refused, 1, (worker_fixture_clock_ms() - since_ms) / 100 + 1);
	assert_int_equal(accepted(&f), refused);
	assert_int_equal(worker_fixture_count(&f.w, LEDGER_ACCEPT_PAUSES), refused);
	assert_true(turns > 20);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &previous), 0);
	log_set_level(LOG_LEVEL_INFO);
	/* The connections in the queue are served in the end. */
	assert_true(worker_fixture_run_until(&f.w, accepted(&f) == 6));
	assert_true(worker_fixture_run_until(
	    &f.w, worker_fixture_count(&f.w, LEDGER_BYTES_SENT) == 6 - refused));
	assert_int_equal(recv(f.clients[5], &answer, 1, 0), 1);
	assert_true(f.w.worker.accept.spare_fd >= 0);
	finish(&f);
}

/* Another process may take it while it is closed. */
static void
test_reopens_a_lost_spare_descriptor(void **state)
{
	struct fixture f;

	(void)state;
	start(&f);
	close(f.w.worker.accept.spare_fd);
	f.w.worker.accept.spare_fd = -1;
	connect_clients(&f, 0, 1);
	log_set_level(LOG_LEVEL_ERROR);
	struct rlimit previous = forbid_descriptors();
	assert_true(worker_fixture_run_until(
	    &f.w, worker_fixture_count(&f.w, LEDGER_ACCEPT_PAUSES) == 1));
	assert_int_equal(accepted(&f), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &previous), 0);
	log_set_level(LOG_LEVEL_INFO);
	assert_true(worker_fixture_run_until(&f.w, f.w.worker.connections.count == 2));
	assert_true(f.w.worker.accept.spare_fd >= 0);
	finish(&f);
}

static size_t
count_lines(const char *path)
{
	FILE *file = fopen(path, "r");
	size_t lines = 0;

	assert_non_null(file);
	for (int c; (c = fgetc(file)) != EOF;)
		lines += c == '\n';
	fclose(file);
	return lines;
}

static void
test_logs_the_connection_limit_once(void **state)
{
	char path[] = "/tmp/acceptor_test.XXXXXX";
	struct fixture f;

	(void)state;
	close(mkstemp(path));
	assert_int_equal(log_open(path), 0);
	start(&f);
	connect_clients(&f, 0, 1);
	assert_true(worker_fixture_run_until(&f.w, accepted(&f) == 2));
	connect_clients(&f, 2, CLIENTS - 1);
	struct rlimit previous = forbid_descriptors();
	for (uint64_t pauses = 1; pauses <= 5; pauses++) {
		assert_true(worker_fixture_run_until(
		    &f.w, worker_fixture_count(&f.w, LEDGER_ACCEPT_PAUSES) == pauses));
		connection_close(worker_fixture_connection(&f.w), CLOSE_STOPPED);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &previous), 0);
	assert_int_equal(log_open(NULL), 0);
	assert_int_equal(count_lines(path), 1);
	unlink(path);
	finish(&f);
}

static void
test_a_draining_listener_closes_after_a_quiet_period(void **state)
{
	struct fixture f;

	(void)state;
	start(&f);
	connect_clients(&f, 0, 9);
	acceptor_drain_queue(&f.w.worker, 0);
	uint64_t since_ms = worker_fixture_clock_ms();
	/* A late connection extends the quiet period. */
	while (worker_fixture_clock_ms() - since_ms < 50)
		worker_fixture_run_once(&f.w);
	connect_clients(&f, 10, 10);
	assert_false(acceptor_is_closed(&f.w.worker));
	assert_true(worker_fixture_run_until(&f.w, acceptor_is_closed(&f.w.worker)));
	assert_in_range(worker_fixture_clock_ms() - since_ms, 240, 60000);
	assert_int_equal(accepted(&f), 11);
	assert_int_equal(f.w.worker.connections.count, 11);
	finish(&f);
}

static void
test_drain_closes_all_listeners_except_those_whose_queues_are_drained(void **state)
{
	struct fixture f;

	(void)state;
	start(&f);
	acceptor_drain_queue(&f.w.worker, CHANNEL_ALL);
	acceptor_close_listeners(&f.w.worker);
	assert_false(acceptor_is_closed(&f.w.worker));
	f.w.worker.accept.listeners[0].draining_queue = false;
	acceptor_close_listeners(&f.w.worker);
	assert_true(acceptor_is_closed(&f.w.worker));
	finish(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepts_a_burst_in_small_batches),
		cmocka_unit_test(test_denies_addresses_not_on_the_allow_list),
		cmocka_unit_test(
		    test_refuses_connections_over_the_max_connections_of_all_workers),
		cmocka_unit_test(test_refuses_descriptors_that_the_method_cannot_watch),
		cmocka_unit_test(
		    test_refuses_the_first_descriptor_that_the_method_cannot_watch),
		cmocka_unit_test(test_refuses_connections_over_the_limit_of_the_worker),
		cmocka_unit_test(test_the_deny_list_overrides_the_allow_list),
		cmocka_unit_test(test_reopens_a_lost_spare_descriptor),
		cmocka_unit_test(
		    test_without_descriptors_refuses_one_connection_and_keeps_the_others_queued),
		cmocka_unit_test(test_logs_the_connection_limit_once),
		cmocka_unit_test(test_a_draining_listener_closes_after_a_quiet_period),
		cmocka_unit_test(
		    test_drain_closes_all_listeners_except_those_whose_queues_are_drained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
