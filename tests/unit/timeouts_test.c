#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/backpressure_fixture.h"

static void
test_closes_a_peer_that_reads_nothing_after_stalled_write(void **state)
{
	struct worker_fixture w;
	int fds[2];

	(void)state;
	worker_fixture_start(&w, "echo", FRAMING_STREAM, 64 * 1024, MAX_PENDING);
	w.config.timeouts.stalled_write_ns = 1300 * MS; /* a busy machine stops us */
	must(timeouts_start(&w.worker) == 0);
	open_unix_pair(fds, 16 * 1024);
	worker_fixture_serve(&w, fds[1]);
	send_until_blocked(&w, fds[0], NULL);
	/* Each byte that the peer reads restarts the timeout. */
	uint64_t since_ms = worker_fixture_clock_ms();
	for (int i = 0; i < 3; i++) {
		uint64_t sent = worker_fixture_count(&w, LEDGER_BYTES_SENT);
		while (worker_fixture_clock_ms() - since_ms < 500)
			worker_fixture_run_once(&w);
		assert_int_equal(w.worker.connections.count, 1);
		since_ms = worker_fixture_clock_ms();
		receive_exactly(fds[0], 64 * 1024, &w);
		assert_true(worker_fixture_run_until(
		    &w, worker_fixture_count(&w, LEDGER_BYTES_SENT) > sent));
	}
	uint64_t received = worker_fixture_count(&w, LEDGER_BYTES_RECEIVED);
	send_until_blocked(&w, fds[0], NULL);
	uint64_t queued = queued_output_bytes(&w);
	assert_true(worker_fixture_run_until(&w, w.worker.connections.count == 0));
	assert_in_range(worker_fixture_clock_ms() - since_ms, 1200, 60000);
	assert_int_equal(worker_fixture_closed(&w, CLOSE_STALLED_WRITE), 1);
	assert_int_equal(worker_fixture_count(&w, LEDGER_BYTES_DROPPED), queued);
	assert_true(worker_fixture_count(&w, LEDGER_BYTES_RECEIVED) >= received);
	assert_true(worker_fixture_is_balanced(&w));
	close(fds[0]);
	worker_fixture_finish(&w);
}

static size_t
read_some(int fd, size_t most)
{
	ssize_t n = recv(fd, block, most < sizeof(block) ? most : sizeof(block), 0);

	return n > 0 ? (size_t)n : 0;
}

/* The kernel reports a socket writable when a third of its buffer is free, which on
 * loopback may be a megabyte. */
static void
test_a_slow_reader_is_not_stalled(void **state)
{
	enum { ROUNDS = 12, ROUND_BYTES = 128 * 1024 };
	struct worker_fixture w;
	int fds[2];

	(void)state;
	worker_fixture_start(&w, "echo", FRAMING_STREAM, 64 * 1024, MAX_PENDING);
	w.config.timeouts.stalled_write_ns = 1300 * MS;
	must(timeouts_start(&w.worker) == 0);
	open_tcp_pair(fds, 0);
	worker_fixture_serve(&w, fds[1]);
	send_until_blocked(&w, fds[0], NULL);
	uint64_t since_ms = worker_fixture_clock_ms();
	for (int i = 1; i <= ROUNDS && w.worker.connections.count == 1; i++) {
		size_t left = ROUND_BYTES;
		assert_true(worker_fixture_run_until(
		    &w, (left -= read_some(fds[0], left), left == 0)));
		while (worker_fixture_clock_ms() - since_ms < 250U * (unsigned)i)
			worker_fixture_run_once(&w);
	}
	assert_int_equal(w.worker.connections.count, 1);
	close(fds[0]);
	worker_fixture_finish(&w);
}

static void
test_closes_idle_connections(void **state)
{
	struct worker_fixture w;
	int fds[2];

	(void)state;
	worker_fixture_start(&w, "echo", FRAMING_STREAM, 64 * 1024, MAX_PENDING);
	w.config.timeouts.idle_ns = 1300 * MS; /* a busy machine stops us */
	must(timeouts_start(&w.worker) == 0);
	open_tcp_pair(fds, 0);
	worker_fixture_serve(&w, fds[1]);
	uint64_t since_ms = 0;
	for (int i = 0; i < 4 && w.worker.connections.count == 1; i++) {
		since_ms = worker_fixture_clock_ms();
		assert_int_equal(send(fds[0], "x", 1, 0), 1);
		while (worker_fixture_clock_ms() - since_ms < 500)
			worker_fixture_run_once(&w);
	}
	assert_true(worker_fixture_run_until(&w, w.worker.connections.count == 0));
	assert_in_range(worker_fixture_clock_ms() - since_ms, 1300, 60000);
	assert_int_equal(worker_fixture_closed(&w, CLOSE_IDLE), 1);
	assert_true(worker_fixture_is_balanced(&w));
	close(fds[0]);
	worker_fixture_finish(&w);
}

static void
test_reading_replies_is_not_idle(void **state)
{
	enum { ALL = sizeof(block) };
	struct worker_fixture w;
	int fds[2];

	(void)state;
	worker_fixture_start(&w, "echo", FRAMING_STREAM, 64 * 1024, MAX_PENDING);
	w.config.timeouts.idle_ns = 1300 * MS;
	must(timeouts_start(&w.worker) == 0);
	open_unix_pair(fds, 16 * 1024);
	worker_fixture_serve(&w, fds[1]);
	for (size_t sent_bytes = 0; sent_bytes < ALL;) {
		ssize_t n = send(fds[0], block, ALL - sent_bytes, MSG_NOSIGNAL);
		sent_bytes += n > 0 ? (size_t)n : 0;
		worker_fixture_run_once(&w);
	}
	assert_true(worker_fixture_run_until(
	    &w, worker_fixture_count(&w, LEDGER_BYTES_RECEIVED) == ALL));
	uint64_t since_ms = worker_fixture_clock_ms();
	while (worker_fixture_clock_ms() - since_ms < 2000)
		worker_fixture_run_once(&w);
	assert_int_equal(w.worker.connections.count, 1);
	receive_exactly(fds[0], ALL, &w);
	since_ms = worker_fixture_clock_ms();
	assert_true(worker_fixture_run_until(&w, w.worker.connections.count == 0));
	assert_in_range(worker_fixture_clock_ms() - since_ms, 1200, 9000);
	assert_int_equal(worker_fixture_closed(&w, CLOSE_IDLE), 1);
	close(fds[0]);
	worker_fixture_finish(&w);
}

static void
test_drain_closes_only_connections_idle_for_drain_quiet(void **state)
{
	struct worker_fixture w;
	int fds[2];

	(void)state;
	worker_fixture_start(&w, "echo", FRAMING_STREAM, 64 * 1024, MAX_PENDING);
	w.config.timeouts.drain_quiet_ns = 250 * MS;
	must(timeouts_start(&w.worker) == 0);
	open_tcp_pair(fds, 0);
	worker_fixture_serve(&w, fds[1]);
	/* The clock of timeouts moves only at each check: it is nearly a second old. */
	uint64_t since_ms = worker_fixture_clock_ms();
	while (worker_fixture_clock_ms() - since_ms < 900)
		worker_fixture_run_once(&w);
	since_ms = worker_fixture_clock_ms();
	assert_int_equal(send(fds[0], "x", 1, 0), 1);
	assert_true(worker_fixture_run_until(&w, recv(fds[0], block, 1, 0) == 1));
	timeouts_shorten(&w.worker);
	assert_true(worker_fixture_run_until(&w, w.worker.connections.count == 0));
	assert_in_range(worker_fixture_clock_ms() - since_ms, 250, 5000);
	assert_int_equal(worker_fixture_closed(&w, CLOSE_DRAINED), 1);
	close(fds[0]);
	worker_fixture_finish(&w);
}

static void
test_drain_without_drain_quiet_waits_for_peers_to_close(void **state)
{
	struct worker_fixture w;
	int fds[2];

	(void)state;
	worker_fixture_start(&w, "echo", FRAMING_STREAM, 64 * 1024, MAX_PENDING);
	w.config.timeouts.hung_ns = 800 * MS; /* a check every 100 ms */
	must(timeouts_start(&w.worker) == 0);
	open_tcp_pair(fds, 0);
	worker_fixture_serve(&w, fds[1]);
	timeouts_shorten(&w.worker);
	uint64_t since_ms = worker_fixture_clock_ms();
	while (worker_fixture_clock_ms() - since_ms < 1000)
		worker_fixture_run_once(&w);
	assert_int_equal(w.worker.connections.count, 1);
	close(fds[0]);
	assert_true(worker_fixture_run_until(&w, w.worker.connections.count == 0));
	assert_int_equal(worker_fixture_closed(&w, CLOSE_PEER_CLOSED), 1);
	worker_fixture_finish(&w);
}

static void
test_drain_waits_for_partial_messages_and_queued_replies(void **state)
{
	struct worker_fixture w;
	int partial[2], blocked[2];

	(void)state;
	worker_fixture_start(&w, "echo", FRAMING_LINE, 64 * 1024, MAX_PENDING);
	w.config.timeouts.drain_quiet_ns = 50 * MS;
	memset(block, '\n', sizeof(block));
	must(timeouts_start(&w.worker) == 0);
	open_tcp_pair(partial, 0);
	open_tcp_pair(blocked, 0);
	worker_fixture_serve(&w, blocked[1]);
	send_until_blocked(&w, blocked[0], NULL);
	worker_fixture_serve(&w, partial[1]);
	assert_int_equal(send(partial[0], "hal", 3, 0), 3);
	timeouts_shorten(&w.worker);
	uint64_t since_ms = worker_fixture_clock_ms();
	while (worker_fixture_clock_ms() - since_ms < 1500)
		worker_fixture_run_once(&w);
	assert_int_equal(w.worker.connections.count, 2);
	assert_int_equal(send(partial[0], "f\n", 2, 0), 2);
	assert_true(worker_fixture_run_until(&w, w.worker.connections.count == 1));
	assert_int_equal(recv(partial[0], block, 8, 0), 5);
	assert_memory_equal(block, "half\n", 5);
	assert_true(worker_fixture_run_until(&w,
	    (recv(blocked[0], block, sizeof(block), 0),
		w.worker.connections.count == 0)));
	assert_int_equal(worker_fixture_closed(&w, CLOSE_DRAINED), 2);
	close(partial[0]);
	close(blocked[0]);
	worker_fixture_finish(&w);
}

/* Like a frozen container or a stopped process. */
static void
block_loop(unsigned ms)
{
	uint64_t since_ms = worker_fixture_clock_ms();
	while (worker_fixture_clock_ms() - since_ms < ms)
		usleep(10000);
}

static void
test_a_stalled_loop_does_not_count_as_idle_time(void **state)
{
	struct worker_fixture w;
	int asking[2], reading[2];
	char answer[8];

	(void)state;
	worker_fixture_start(&w, "echo", FRAMING_STREAM, 64 * 1024, MAX_PENDING);
	w.config.timeouts.idle_ns = w.config.timeouts.stalled_write_ns = 1300 * MS;
	must(timeouts_start(&w.worker) == 0);
	open_unix_pair(reading, 16 * 1024);
	open_tcp_pair(asking, 0);
	worker_fixture_serve(&w, reading[1]);
	send_until_blocked(&w, reading[0], NULL);
	worker_fixture_serve(&w, asking[1]);
	uint64_t sent = worker_fixture_count(&w, LEDGER_BYTES_SENT);
	block_loop(2000);
	assert_int_equal(send(asking[0], "hello", 5, 0), 5);
	while (recv(reading[0], block, sizeof(block), 0) > 0)
		;
	assert_true(worker_fixture_run_until(
	    &w, worker_fixture_count(&w, LEDGER_BYTES_SENT) > sent + 5));
	assert_true(worker_fixture_run_until(&w, recv(asking[0], answer, 8, 0) == 5));
	assert_int_equal(w.worker.connections.count, 2);
	/* Time in which the loop runs does count. */
	assert_true(worker_fixture_run_until(&w, w.worker.connections.count == 0));
	assert_int_equal(worker_fixture_closed(&w, CLOSE_IDLE), 1);
	assert_int_equal(worker_fixture_closed(&w, CLOSE_STALLED_WRITE), 1);
	close(asking[0]);
	close(reading[0]);
	worker_fixture_finish(&w);
}

static void
test_sends_heartbeats_in_time_for_the_watchdog(void **state)
{
	struct worker_fixture w;

	(void)state;
	worker_fixture_start(&w, "echo", FRAMING_LINE, 64 * 1024, MAX_PENDING);
	w.config.timeouts.hung_ns = 800 * MS;
	must(timeouts_start(&w.worker) == 0);
	uint64_t since_ms = worker_fixture_clock_ms(), now_ms = since_ms, awake_ms = 0;
	/* Time in which another process had the CPU does not count. */
	while (awake_ms < 800) {
		worker_fixture_run_once(&w);
		uint64_t step_ms = worker_fixture_clock_ms() - now_ms;
		now_ms += step_ms;
		awake_ms += step_ms < 50 ? step_ms : 0;
	}
	assert_in_range(atomic_load(&w.worker.worker_ledger->own.heartbeat_count), 2,
	    16 + (now_ms - since_ms) / 50);
	timeouts_stop(&w.worker);
	worker_fixture_finish(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_closes_a_peer_that_reads_nothing_after_stalled_write),
		cmocka_unit_test(test_a_slow_reader_is_not_stalled),
		cmocka_unit_test(test_closes_idle_connections),
		cmocka_unit_test(test_reading_replies_is_not_idle),
		cmocka_unit_test(
		    test_drain_closes_only_connections_idle_for_drain_quiet),
		cmocka_unit_test(
		    test_drain_without_drain_quiet_waits_for_peers_to_close),
		cmocka_unit_test(
		    test_drain_waits_for_partial_messages_and_queued_replies),
		cmocka_unit_test(test_a_stalled_loop_does_not_count_as_idle_time),
		cmocka_unit_test(test_sends_heartbeats_in_time_for_the_watchdog),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
