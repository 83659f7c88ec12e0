#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>

#include "proto/channel.h"
#include "tests/lib/worker_fixture.h"
#include "worker/timeouts.h"

/* A draining worker with a channel to the master and nothing else to wait for. */
struct fixture {
	struct worker_fixture w;
	struct event channel_event;
	int master_fd;
};

static void
on_message(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	(void)argument;
	fail_msg("the master sends nothing");
}

static void
start(struct fixture *f)
{
	int fds[2];

	memset(f, 0, sizeof(*f));
	worker_fixture_start(&f->w, "echo", FRAMING_STREAM, 1000, 1000);
	must(channel_open(fds) == 0);
	f->w.worker.channel_fd = fds[0];
	f->master_fd = fds[1];
	event_assign(&f->channel_event, f->w.worker.base, fds[0], EV_READ | EV_PERSIST,
	    on_message, NULL);
	must(event_add(&f->channel_event, NULL) == 0);
	f->w.worker.drain.is_exiting = true;
}

static void
finish(struct fixture *f)
{
	event_del(&f->channel_event);
	close(f->w.worker.channel_fd);
	close(f->master_fd);
	worker_fixture_finish(&f->w);
}

/* Runs the loop as a worker does. A check that never runs leaves it asleep. */
static void
run_until_break(struct fixture *f)
{
	alarm(20);
	assert_int_equal(event_base_dispatch(f->w.worker.base), 0);
	alarm(0);
	assert_true(event_base_got_break(f->w.worker.base));
}

static void
test_a_requested_check_ends_a_loop_without_any_other_event(void **state)
{
	struct fixture f;

	(void)state;
	start(&f);
	worker_request_drain_check(&f.w.worker);
	run_until_break(&f);
	finish(&f);
}

static void
on_last_event(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	worker_request_drain_check(argument);
	worker_request_drain_check(argument);
}

static void
test_a_check_requested_by_the_last_event_runs_before_the_loop_sleeps(void **state)
{
	const struct timeval soon = { .tv_usec = 1000 };
	struct channel_message message;
	struct fixture f;
	int fd;

	(void)state;
	start(&f);
	must(event_base_once(f.w.worker.base, -1, EV_TIMEOUT, on_last_event,
		 &f.w.worker, &soon) == 0);
	run_until_break(&f);
	/* Two requests cause one check, and the master gets one message. */
	assert_int_equal(channel_receive(f.master_fd, &message, &fd), 1);
	assert_int_equal(message.verb, CHANNEL_LISTENERS_CLOSED);
	assert_int_equal(channel_receive(f.master_fd, &message, &fd), -1);
	finish(&f);
}

static void
test_the_loop_continues_while_a_connection_is_open(void **state)
{
	struct fixture f;
	int fds[2];
	char answer;

	(void)state;
	start(&f);
	open_tcp_pair(fds, 0);
	worker_fixture_serve(&f.w, fds[1]);
	worker_request_drain_check(&f.w.worker);
	worker_fixture_run_once(&f.w);
	assert_false(event_base_got_break(f.w.worker.base));
	assert_int_equal(send(fds[0], "x", 1, 0), 1);
	assert_true(worker_fixture_run_until(&f.w, recv(fds[0], &answer, 1, 0) == 1));
	close(fds[0]);
	assert_true(worker_fixture_run_until(&f.w, f.w.worker.connections.count == 0));
	worker_request_drain_check(&f.w.worker);
	run_until_break(&f);
	finish(&f);
}

/* A master that is stopped reads nothing: the report waits for it. */
static void
test_a_report_is_sent_when_the_master_reads_again(void **state)
{
	const struct channel_message filler = { .verb = CHANNEL_READY };
	struct channel_message message = filler;
	struct fixture f;
	int fds[2], fd;

	(void)state;
	start(&f);
	assert_int_equal(timeouts_start(&f.w.worker), 0);
	open_tcp_pair(fds, 0);
	worker_fixture_serve(&f.w, fds[1]);
	while (channel_send(f.w.worker.channel_fd, &filler, -1) == 0)
		continue;
	worker_request_drain_check(&f.w.worker);
	worker_fixture_run_once(&f.w);
	assert_true(f.w.worker.drain.listeners_closed_sent);
	while (channel_receive(f.master_fd, &message, &fd) == 1)
		assert_int_equal(message.verb, CHANNEL_READY);
	assert_true(worker_fixture_run_until(
	    &f.w, channel_receive(f.master_fd, &message, &fd) == 1));
	assert_int_equal(message.verb, CHANNEL_LISTENERS_CLOSED);
	close(fds[0]);
	assert_true(worker_fixture_run_until(&f.w, f.w.worker.connections.count == 0));
	timeouts_stop(&f.w.worker);
	finish(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_a_requested_check_ends_a_loop_without_any_other_event),
		cmocka_unit_test(
		    test_a_check_requested_by_the_last_event_runs_before_the_loop_sleeps),
		cmocka_unit_test(test_the_loop_continues_while_a_connection_is_open),
		cmocka_unit_test(test_a_report_is_sent_when_the_master_reads_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
