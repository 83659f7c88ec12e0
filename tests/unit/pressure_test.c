#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/one_worker.h"

#define MS UINT64_C(1000000)
#define MAX_PENDING ((size_t)256 * 1024)

static uint8_t block[64 * 1024];

static size_t
stuck_bytes(const struct one_worker *w)
{
	return w->worker.stuck == NULL ? 0 : buffer_length(w->worker.stuck->bytes);
}

/* Talks without listening until the server reads no more; returns the bytes that went.
 */
static size_t
flood(struct one_worker *w, int fd, size_t *ret_most)
{
	size_t said = 0, most = 0;

	for (int quiet = 0; quiet < 200;) {
		uint64_t before = one_worker_progress(w);
		ssize_t n = send(fd, block, sizeof(block), MSG_NOSIGNAL);
		said += n > 0 ? (size_t)n : 0;
		one_worker_turn(w);
		if (stuck_bytes(w) > most)
			most = stuck_bytes(w);
		quiet = n > 0 || one_worker_progress(w) != before ? 0 : quiet + 1;
	}
	if (ret_most != NULL)
		*ret_most = most;
	return said;
}

static void
check_bounded(const char *reply, enum framing framing, uint8_t filler)
{
	struct one_worker w;
	size_t most;
	int fds[2];

	memset(block, filler, sizeof(block));
	one_worker_start(&w, reply, framing, 64 * 1024, MAX_PENDING);
	open_tcp_pair(fds, 0);
	one_worker_serve(&w, fds[1]);
	size_t said = flood(&w, fds[0], &most);
	struct connection *connection = one_worker_connection(&w);
	assert_true(connection->reading_paused);
	assert_false(event_pending(&connection->event, EV_READ, NULL));
	assert_true(said > one_worker_count(&w, LEDGER_BYTES_RECEIVED));
	/* A reply as long as a read's may be made beyond a batch that was sent. */
	assert_in_range(most, MAX_PENDING, MAX_PENDING + 2 * WORKER_INPUT_BYTES);
	assert_in_range(
	    buffer_length(connection->input), 0, WORKER_INPUT_BYTES + 64 * 1024);
	assert_true(connection->output->bytes->capacity <= 2 * MAX_PENDING + 8192);
	assert_true(one_worker_adds_up(&w));
	close(fds[0]);
	one_worker_finish(&w);
}

static void
test_a_peer_that_never_reads_is_owed_max_pending_and_little_more(void **state)
{
	(void)state;
	check_bounded("echo", FRAMING_STREAM, 'x');
	check_bounded("upper,suffix=_SB", FRAMING_STREAM, 'x');
	check_bounded("echo", FRAMING_LINE, '\n');
	/* One byte in, many bytes out. */
	check_bounded("fixed=a long answer to a short question", FRAMING_LINE, '\n');
	check_bounded("fixed=a long answer to no question", FRAMING_LENGTH32, '\0');
}

static void
test_a_flood_of_length32_payloads_is_bounded_the_same_way(void **state)
{
	(void)state;
	check_bounded("fixed=x", FRAMING_LENGTH32, '\0');
}

static void
listen_to(int fd, size_t bytes, struct one_worker *w)
{
	static uint8_t heard[64 * 1024];

	for (int idle = 0; bytes > 0 && idle < 10000;) {
		ssize_t n =
		    recv(fd, heard, bytes < sizeof(heard) ? bytes : sizeof(heard), 0);
		if (n > 0)
			bytes -= (size_t)n;
		idle = n > 0 ? 0 : idle + 1;
		one_worker_turn(w);
	}
	assert_int_equal(bytes, 0);
}

static void
test_reading_goes_on_once_less_than_half_of_max_pending_waits(void **state)
{
	struct one_worker w;
	int fds[2];

	(void)state;
	one_worker_start(&w, "echo", FRAMING_STREAM, 64 * 1024, MAX_PENDING);
	open_unix_pair(fds, 16 * 1024);
	one_worker_serve(&w, fds[1]);
	flood(&w, fds[0], NULL);
	struct connection *connection = one_worker_connection(&w);
	uint64_t received = one_worker_count(&w, LEDGER_BYTES_RECEIVED);

	while (stuck_bytes(&w) > MAX_PENDING / 2 + 64 * 1024) {
		listen_to(fds[0], 1024, &w);
		assert_int_equal(one_worker_count(&w, LEDGER_BYTES_RECEIVED), received);
		assert_true(connection->reading_paused);
	}
	for (int i = 0; i < 128 && connection->reading_paused; i++)
		listen_to(fds[0], 1024, &w);
	assert_false(connection->reading_paused);
	one_worker_turn(&w);
	assert_true(one_worker_count(&w, LEDGER_BYTES_RECEIVED) > received);
	close(fds[0]);
	one_worker_finish(&w);
}

static void
test_one_that_never_reads_leaves_the_others_served(void **state)
{
	struct one_worker w;
	int mute[2], other[2];
	char answer[8];

	(void)state;
	one_worker_start(&w, "upper", FRAMING_STREAM, 64 * 1024, MAX_PENDING);
	open_tcp_pair(mute, 0);
	open_tcp_pair(other, 0);
	one_worker_serve(&w, mute[1]);
	flood(&w, mute[0], NULL);
	one_worker_serve(&w, other[1]);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(send(other[0], "hello", 5, 0), 5);
		assert_true(one_worker_until(&w, recv(other[0], answer, 8, 0) == 5));
		assert_memory_equal(answer, "HELLO", 5);
	}
	close(mute[0]);
	close(other[0]);
	one_worker_finish(&w);
}

/* One edge told of all of it, and a wake-up reads a bounded part. */
static void
test_what_a_wake_up_leaves_unread_is_read_by_the_next(void **state)
{
	static uint8_t much[300000];
	struct one_worker w;
	int fds[2];

	(void)state;
	one_worker_start(&w, "discard", FRAMING_STREAM, 64 * 1024, MAX_PENDING);
	open_unix_pair(fds, 212992);
	one_worker_serve(&w, fds[1]);
	ssize_t said = send(fds[0], much, sizeof(much), 0);
	assert_true(said > 4 * WORKER_INPUT_BYTES);
	one_worker_turn(&w);
	assert_int_equal(
	    one_worker_count(&w, LEDGER_BYTES_RECEIVED), 4 * WORKER_INPUT_BYTES);
	assert_true(one_worker_until(
	    &w, one_worker_count(&w, LEDGER_BYTES_RECEIVED) == (uint64_t)said));
	close(fds[0]);
	assert_true(one_worker_until(&w, w.worker.pool.count == 0));
	one_worker_finish(&w);
}

/* --- the clock ----------------------------------------------------------------------
 */

static void
test_a_peer_that_takes_nothing_is_closed_after_stalled_write_and_not_before(
    void **state)
{
	struct one_worker w;
	int fds[2];

	(void)state;
	one_worker_start(&w, "echo", FRAMING_STREAM, 64 * 1024, MAX_PENDING);
	w.config.timeouts.stalled_write_ns = 1300 * MS; /* a busy machine stops us */
	must(sweep_start(&w.worker) == 0);
	open_unix_pair(fds, 16 * 1024);
	one_worker_serve(&w, fds[1]);
	flood(&w, fds[0], NULL);
	/* Each bit that it takes puts the end off. */
	uint64_t since_ms = one_worker_clock_ms();
	for (int i = 0; i < 3; i++) {
		uint64_t sent = one_worker_count(&w, LEDGER_BYTES_SENT);
		while (one_worker_clock_ms() - since_ms < 500)
			one_worker_turn(&w);
		assert_int_equal(w.worker.pool.count, 1);
		since_ms = one_worker_clock_ms();
		listen_to(fds[0], 64 * 1024, &w);
		assert_true(one_worker_until(
		    &w, one_worker_count(&w, LEDGER_BYTES_SENT) > sent));
	}
	uint64_t received = one_worker_count(&w, LEDGER_BYTES_RECEIVED);
	flood(&w, fds[0], NULL);
	uint64_t owed = stuck_bytes(&w);
	assert_true(one_worker_until(&w, w.worker.pool.count == 0));
	assert_in_range(one_worker_clock_ms() - since_ms, 1200, 9000);
	assert_int_equal(one_worker_closed(&w, CLOSE_STALLED_WRITE), 1);
	assert_int_equal(one_worker_count(&w, LEDGER_BYTES_DROPPED), owed);
	assert_true(one_worker_count(&w, LEDGER_BYTES_RECEIVED) >= received);
	assert_true(one_worker_adds_up(&w));
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
	must(sweep_start(&w.worker) == 0);
	open_tcp_pair(fds, 0);
	one_worker_serve(&w, fds[1]);
	uint64_t since_ms = 0;
	for (int i = 0; i < 4 && w.worker.pool.count == 1; i++) {
		since_ms = one_worker_clock_ms();
		assert_int_equal(send(fds[0], "x", 1, 0), 1);
		while (one_worker_clock_ms() - since_ms < 500)
			one_worker_turn(&w);
	}
	assert_true(one_worker_until(&w, w.worker.pool.count == 0));
	assert_in_range(one_worker_clock_ms() - since_ms, 1300, 9000);
	assert_int_equal(one_worker_closed(&w, CLOSE_IDLE), 1);
	assert_true(one_worker_adds_up(&w));
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
	must(sweep_start(&w.worker) == 0);
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
	sweep_hurry(&w.worker);
	assert_true(one_worker_until(&w, w.worker.pool.count == 0));
	assert_in_range(one_worker_clock_ms() - since_ms, 250, 5000);
	assert_int_equal(one_worker_closed(&w, CLOSE_DRAINED), 1);
	close(fds[0]);
	one_worker_finish(&w);
}

static void
test_a_drain_waits_for_half_a_message_and_for_what_is_owed(void **state)
{
	struct one_worker w;
	int half[2], mute[2];

	(void)state;
	one_worker_start(&w, "echo", FRAMING_LINE, 64 * 1024, MAX_PENDING);
	memset(block, '\n', sizeof(block));
	must(sweep_start(&w.worker) == 0);
	open_tcp_pair(half, 0);
	open_tcp_pair(mute, 0);
	one_worker_serve(&w, mute[1]);
	flood(&w, mute[0], NULL);
	one_worker_serve(&w, half[1]);
	assert_int_equal(send(half[0], "hal", 3, 0), 3);
	sweep_hurry(&w.worker);
	uint64_t since_ms = one_worker_clock_ms();
	while (one_worker_clock_ms() - since_ms < 1500)
		one_worker_turn(&w);
	assert_int_equal(w.worker.pool.count, 2);
	assert_int_equal(send(half[0], "f\n", 2, 0), 2);
	assert_true(one_worker_until(&w, w.worker.pool.count == 1));
	assert_int_equal(recv(half[0], block, 8, 0), 5);
	assert_memory_equal(block, "half\n", 5);
	assert_true(one_worker_until(
	    &w, (recv(mute[0], block, sizeof(block), 0), w.worker.pool.count == 0)));
	assert_int_equal(one_worker_closed(&w, CLOSE_DRAINED), 2);
	close(half[0]);
	close(mute[0]);
	one_worker_finish(&w);
}

static void
test_the_loop_beats_often_enough_for_who_watches_it(void **state)
{
	struct one_worker w;

	(void)state;
	one_worker_start(&w, "echo", FRAMING_LINE, 64 * 1024, MAX_PENDING);
	w.config.timeouts.hung_ns = 800 * MS;
	must(sweep_start(&w.worker) == 0);
	uint64_t since_ms = one_worker_clock_ms(), now_ms = since_ms, awake_ms = 0;
	/* Time in which another process had our CPU is no time to beat in. */
	while (awake_ms < 800) {
		one_worker_turn(&w);
		uint64_t step_ms = one_worker_clock_ms() - now_ms;
		now_ms += step_ms;
		awake_ms += step_ms < 50 ? step_ms : 0;
	}
	assert_in_range(
	    atomic_load(&w.worker.books->own.beats), 2, 16 + (now_ms - since_ms) / 50);
	sweep_stop(&w.worker);
	one_worker_finish(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_a_peer_that_never_reads_is_owed_max_pending_and_little_more),
		cmocka_unit_test(
		    test_a_flood_of_length32_payloads_is_bounded_the_same_way),
		cmocka_unit_test(
		    test_reading_goes_on_once_less_than_half_of_max_pending_waits),
		cmocka_unit_test(test_what_a_wake_up_leaves_unread_is_read_by_the_next),
		cmocka_unit_test(test_one_that_never_reads_leaves_the_others_served),
		cmocka_unit_test(
		    test_a_peer_that_takes_nothing_is_closed_after_stalled_write_and_not_before),
		cmocka_unit_test(
		    test_a_silent_connection_is_closed_after_idle_and_not_before),
		cmocka_unit_test(
		    test_a_drain_closes_nothing_that_was_not_quiet_for_drain_quiet),
		cmocka_unit_test(
		    test_a_drain_waits_for_half_a_message_and_for_what_is_owed),
		cmocka_unit_test(test_the_loop_beats_often_enough_for_who_watches_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
