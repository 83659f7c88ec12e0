#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/pressure.h"

static void
test_a_peer_that_takes_nothing_is_closed_after_stalled_write_and_not_before(
    void **state)
{
	struct one_worker w;
	int fds[2];

	(void)state;
	one_worker_start(&w, "echo", FRAMING_STREAM, 64 * 1024, MAX_PENDING);
	w.config.timeouts.stalled_write_ns = 1300 * MS; /* a busy machine stops us */
	must(timeouts_start(&w.worker) == 0);
	open_unix_pair(fds, 16 * 1024);
	one_worker_serve(&w, fds[1]);
	flood(&w, fds[0], NULL);
	/* Each bit that it takes puts the end off. */
	uint64_t since_ms = one_worker_clock_ms();
	for (int i = 0; i < 3; i++) {
		uint64_t sent = one_worker_count(&w, LEDGER_BYTES_SENT);
		while (one_worker_clock_ms() - since_ms < 500)
			one_worker_turn(&w);
		assert_int_equal(w.worker.connection_pool.count, 1);
		since_ms = one_worker_clock_ms();
		listen_to(fds[0], 64 * 1024, &w);
		assert_true(one_worker_until(
		    &w, one_worker_count(&w, LEDGER_BYTES_SENT) > sent));
	}
	uint64_t received = one_worker_count(&w, LEDGER_BYTES_RECEIVED);
	flood(&w, fds[0], NULL);
	uint64_t owed = stuck_bytes(&w);
	assert_true(one_worker_until(&w, w.worker.connection_pool.count == 0));
	assert_in_range(one_worker_clock_ms() - since_ms, 1200, 9000);
	assert_int_equal(one_worker_closed(&w, CLOSE_STALLED_WRITE), 1);
	assert_int_equal(one_worker_count(&w, LEDGER_BYTES_DROPPED), owed);
	assert_true(one_worker_count(&w, LEDGER_BYTES_RECEIVED) >= received);
	assert_true(one_worker_adds_up(&w));
	close(fds[0]);
	one_worker_finish(&w);
}

static size_t
take(int fd, size_t most)
{
	ssize_t n = recv(fd, block, most < sizeof(block) ? most : sizeof(block), 0);

	return n > 0 ? (size_t)n : 0;
}

/* The kernel calls a socket writable when a third of its buffer is free, which on
 * loopback may be a megabyte. */
static void
test_a_peer_that_takes_little_at_a_time_is_not_stalled(void **state)
{
	enum { ROUNDS = 12, ROUND_BYTES = 128 * 1024 };
	struct one_worker w;
	int fds[2];

	(void)state;
	one_worker_start(&w, "echo", FRAMING_STREAM, 64 * 1024, MAX_PENDING);
	w.config.timeouts.stalled_write_ns = 1300 * MS;
	must(timeouts_start(&w.worker) == 0);
	open_tcp_pair(fds, 0);
	one_worker_serve(&w, fds[1]);
	flood(&w, fds[0], NULL);
	uint64_t since_ms = one_worker_clock_ms();
	for (int i = 1; i <= ROUNDS && w.worker.connection_pool.count == 1; i++) {
		size_t left = ROUND_BYTES;
		assert_true(
		    one_worker_until(&w, (left -= take(fds[0], left), left == 0)));
		while (one_worker_clock_ms() - since_ms < 250U * (unsigned)i)
			one_worker_turn(&w);
	}
	assert_int_equal(w.worker.connection_pool.count, 1);
	close(fds[0]);
	one_worker_finish(&w);
}

static void
test_a_silent_connection_is_closed_after_idle_and_not_before(void **state)
{
	struct one_worker w;
	int fds[2];

	(void)state;
	one_worker_start(&w, "echo", FRAMING_STREAM, 64 * 1024, MAX_PENDING);
	w.config.timeouts.idle_ns = 1300 * MS; /* a busy machine stops us */
	must(timeouts_start(&w.worker) == 0);
	open_tcp_pair(fds, 0);
	one_worker_serve(&w, fds[1]);
	uint64_t since_ms = 0;
	for (int i = 0; i < 4 && w.worker.connection_pool.count == 1; i++) {
		since_ms = one_worker_clock_ms();
		assert_int_equal(send(fds[0], "x", 1, 0), 1);
		while (one_worker_clock_ms() - since_ms < 500)
			one_worker_turn(&w);
	}
	assert_true(one_worker_until(&w, w.worker.connection_pool.count == 0));
	assert_in_range(one_worker_clock_ms() - since_ms, 1300, 9000);
	assert_int_equal(one_worker_closed(&w, CLOSE_IDLE), 1);
	assert_true(one_worker_adds_up(&w));
	close(fds[0]);
	one_worker_finish(&w);
}

static void
test_a_peer_that_was_busy_with_its_replies_was_not_idle(void **state)
{
	enum { ALL = sizeof(block) };
	struct one_worker w;
	int fds[2];

	(void)state;
	one_worker_start(&w, "echo", FRAMING_STREAM, 64 * 1024, MAX_PENDING);
	w.config.timeouts.idle_ns = 1300 * MS;
	must(timeouts_start(&w.worker) == 0);
	open_unix_pair(fds, 16 * 1024);
	one_worker_serve(&w, fds[1]);
	for (size_t said = 0; said < ALL;) {
		ssize_t n = send(fds[0], block, ALL - said, MSG_NOSIGNAL);
		said += n > 0 ? (size_t)n : 0;
		one_worker_turn(&w);
	}
	assert_true(
	    one_worker_until(&w, one_worker_count(&w, LEDGER_BYTES_RECEIVED) == ALL));
	uint64_t since_ms = one_worker_clock_ms();
	while (one_worker_clock_ms() - since_ms < 2000)
		one_worker_turn(&w);
	assert_int_equal(w.worker.connection_pool.count, 1);
	listen_to(fds[0], ALL, &w);
	since_ms = one_worker_clock_ms();
	assert_true(one_worker_until(&w, w.worker.connection_pool.count == 0));
	assert_in_range(one_worker_clock_ms() - since_ms, 1200, 9000);
	assert_int_equal(one_worker_closed(&w, CLOSE_IDLE), 1);
	close(fds[0]);
	one_worker_finish(&w);
}

static void
test_a_drain_closes_nothing_that_was_not_quiet_for_drain_quiet(void **state)
{
	struct one_worker w;
	int fds[2];

	(void)state;
	one_worker_start(&w, "echo", FRAMING_STREAM, 64 * 1024, MAX_PENDING);
	w.config.timeouts.drain_quiet_ns = 250 * MS;
	must(timeouts_start(&w.worker) == 0);
	open_tcp_pair(fds, 0);
	one_worker_serve(&w, fds[1]);
	/* The clock of timeouts stands still between sweeps: it is nearly a second old.
	 */
	uint64_t since_ms = one_worker_clock_ms();
	while (one_worker_clock_ms() - since_ms < 900)
		one_worker_turn(&w);
	since_ms = one_worker_clock_ms();
	assert_int_equal(send(fds[0], "x", 1, 0), 1);
	assert_true(one_worker_until(&w, recv(fds[0], block, 1, 0) == 1));
	timeouts_shorten(&w.worker);
	assert_true(one_worker_until(&w, w.worker.connection_pool.count == 0));
	assert_in_range(one_worker_clock_ms() - since_ms, 250, 5000);
	assert_int_equal(one_worker_closed(&w, CLOSE_DRAINED), 1);
	close(fds[0]);
	one_worker_finish(&w);
}

static void
test_a_drain_without_drain_quiet_leaves_the_end_to_the_peers(void **state)
{
	struct one_worker w;
	int fds[2];

	(void)state;
	one_worker_start(&w, "echo", FRAMING_STREAM, 64 * 1024, MAX_PENDING);
	w.config.timeouts.hung_ns = 800 * MS; /* a sweep of 100 ms */
	must(timeouts_start(&w.worker) == 0);
	open_tcp_pair(fds, 0);
	one_worker_serve(&w, fds[1]);
	timeouts_shorten(&w.worker);
	uint64_t since_ms = one_worker_clock_ms();
	while (one_worker_clock_ms() - since_ms < 1000)
		one_worker_turn(&w);
	assert_int_equal(w.worker.connection_pool.count, 1);
	close(fds[0]);
	assert_true(one_worker_until(&w, w.worker.connection_pool.count == 0));
	assert_int_equal(one_worker_closed(&w, CLOSE_PEER_CLOSED), 1);
	one_worker_finish(&w);
}

static void
test_a_drain_waits_for_half_a_message_and_for_what_is_owed(void **state)
{
	struct one_worker w;
	int half[2], mute[2];

	(void)state;
	one_worker_start(&w, "echo", FRAMING_LINE, 64 * 1024, MAX_PENDING);
	w.config.timeouts.drain_quiet_ns = 50 * MS;
	memset(block, '\n', sizeof(block));
	must(timeouts_start(&w.worker) == 0);
	open_tcp_pair(half, 0);
	open_tcp_pair(mute, 0);
	one_worker_serve(&w, mute[1]);
	flood(&w, mute[0], NULL);
	one_worker_serve(&w, half[1]);
	assert_int_equal(send(half[0], "hal", 3, 0), 3);
	timeouts_shorten(&w.worker);
	uint64_t since_ms = one_worker_clock_ms();
	while (one_worker_clock_ms() - since_ms < 1500)
		one_worker_turn(&w);
	assert_int_equal(w.worker.connection_pool.count, 2);
	assert_int_equal(send(half[0], "f\n", 2, 0), 2);
	assert_true(one_worker_until(&w, w.worker.connection_pool.count == 1));
	assert_int_equal(recv(half[0], block, 8, 0), 5);
	assert_memory_equal(block, "half\n", 5);
	assert_true(one_worker_until(&w,
	    (recv(mute[0], block, sizeof(block), 0),
		w.worker.connection_pool.count == 0)));
	assert_int_equal(one_worker_closed(&w, CLOSE_DRAINED), 2);
	close(half[0]);
	close(mute[0]);
	one_worker_finish(&w);
}

/* As a frozen container does, or a stopped process. */
static void
stand_still(unsigned ms)
{
	uint64_t since_ms = one_worker_clock_ms();
	while (one_worker_clock_ms() - since_ms < ms)
		usleep(10000);
}

static void
test_time_in_which_the_worker_stood_still_is_no_silence_of_its_peers(void **state)
{
	struct one_worker w;
	int asks[2], reads[2];
	char answer[8];

	(void)state;
	one_worker_start(&w, "echo", FRAMING_STREAM, 64 * 1024, MAX_PENDING);
	w.config.timeouts.idle_ns = w.config.timeouts.stalled_write_ns = 1300 * MS;
	must(timeouts_start(&w.worker) == 0);
	open_unix_pair(reads, 16 * 1024);
	open_tcp_pair(asks, 0);
	one_worker_serve(&w, reads[1]);
	flood(&w, reads[0], NULL);
	one_worker_serve(&w, asks[1]);
	uint64_t sent = one_worker_count(&w, LEDGER_BYTES_SENT);
	stand_still(2000);
	assert_int_equal(send(asks[0], "hello", 5, 0), 5);
	while (recv(reads[0], block, sizeof(block), 0) > 0)
		;
	assert_true(
	    one_worker_until(&w, one_worker_count(&w, LEDGER_BYTES_SENT) > sent + 5));
	assert_true(one_worker_until(&w, recv(asks[0], answer, 8, 0) == 5));
	assert_int_equal(w.worker.connection_pool.count, 2);
	/* Silence after that is. */
	assert_true(one_worker_until(&w, w.worker.connection_pool.count == 0));
	assert_int_equal(one_worker_closed(&w, CLOSE_IDLE), 1);
	assert_int_equal(one_worker_closed(&w, CLOSE_STALLED_WRITE), 1);
	close(asks[0]);
	close(reads[0]);
	one_worker_finish(&w);
}

static void
test_the_loop_beats_often_enough_for_who_watches_it(void **state)
{
	struct one_worker w;

	(void)state;
	one_worker_start(&w, "echo", FRAMING_LINE, 64 * 1024, MAX_PENDING);
	w.config.timeouts.hung_ns = 800 * MS;
	must(timeouts_start(&w.worker) == 0);
	uint64_t since_ms = one_worker_clock_ms(), now_ms = since_ms, awake_ms = 0;
	/* Time in which another process had our CPU is no time to beat in. */
	while (awake_ms < 800) {
		one_worker_turn(&w);
		uint64_t step_ms = one_worker_clock_ms() - now_ms;
		now_ms += step_ms;
		awake_ms += step_ms < 50 ? step_ms : 0;
	}
	assert_in_range(atomic_load(&w.worker.worker_ledger->own.heartbeat_count), 2,
	    16 + (now_ms - since_ms) / 50);
	timeouts_stop(&w.worker);
	one_worker_finish(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_a_peer_that_takes_nothing_is_closed_after_stalled_write_and_not_before),
		cmocka_unit_test(
		    test_a_peer_that_takes_little_at_a_time_is_not_stalled),
		cmocka_unit_test(
		    test_a_silent_connection_is_closed_after_idle_and_not_before),
		cmocka_unit_test(
		    test_a_peer_that_was_busy_with_its_replies_was_not_idle),
		cmocka_unit_test(
		    test_a_drain_closes_nothing_that_was_not_quiet_for_drain_quiet),
		cmocka_unit_test(
		    test_a_drain_without_drain_quiet_leaves_the_end_to_the_peers),
		cmocka_unit_test(
		    test_a_drain_waits_for_half_a_message_and_for_what_is_owed),
		cmocka_unit_test(
		    test_time_in_which_the_worker_stood_still_is_no_silence_of_its_peers),
		cmocka_unit_test(test_the_loop_beats_often_enough_for_who_watches_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
