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
check_bounded(const char *reply, enum framing framing, uint8_t filler)
{
	struct worker_fixture w;
	size_t most;
	int fds[2];

	memset(block, filler, sizeof(block));
	worker_fixture_start(&w, reply, framing, 64 * 1024, MAX_PENDING);
	open_tcp_pair(fds, 0);
	worker_fixture_serve(&w, fds[1]);
	size_t sent = send_until_blocked(&w, fds[0], &most);
	struct connection *connection = worker_fixture_connection(&w);
	assert_true(connection->reading_paused);
	assert_false(event_pending(&connection->event, EV_READ, NULL));
	assert_true(sent > worker_fixture_count(&w, LEDGER_BYTES_RECEIVED));
	/* One batch may be made after the limit was reached. */
	assert_in_range(most, MAX_PENDING, MAX_PENDING + 2 * WORKER_INPUT_BYTES);
	assert_in_range(
	    buffer_length(connection->input), 0, WORKER_INPUT_BYTES + 64 * 1024);
	assert_true(connection->output->bytes->capacity <= 2 * MAX_PENDING + 8192);
	assert_true(worker_fixture_is_balanced(&w));
	close(fds[0]);
	worker_fixture_finish(&w);
}

static void
test_limits_output_queued_for_a_peer_that_never_reads(void **state)
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
test_limits_output_of_a_flood_of_empty_length32_messages(void **state)
{
	(void)state;
	check_bounded("fixed=x", FRAMING_LENGTH32, '\0');
}

static void
test_resumes_reading_below_half_of_max_pending(void **state)
{
	struct worker_fixture w;
	int fds[2];

	(void)state;
	worker_fixture_start(&w, "echo", FRAMING_STREAM, 64 * 1024, MAX_PENDING);
	open_unix_pair(fds, 16 * 1024);
	worker_fixture_serve(&w, fds[1]);
	send_until_blocked(&w, fds[0], NULL);
	struct connection *connection = worker_fixture_connection(&w);
	uint64_t received = worker_fixture_count(&w, LEDGER_BYTES_RECEIVED);

	while (queued_output_bytes(&w) > MAX_PENDING / 2 + 64 * 1024) {
		receive_exactly(fds[0], 1024, &w);
		assert_int_equal(
		    worker_fixture_count(&w, LEDGER_BYTES_RECEIVED), received);
		assert_true(connection->reading_paused);
	}
	for (int i = 0; i < 128 && connection->reading_paused; i++)
		receive_exactly(fds[0], 1024, &w);
	assert_false(connection->reading_paused);
	worker_fixture_run_once(&w);
	assert_true(worker_fixture_count(&w, LEDGER_BYTES_RECEIVED) > received);
	close(fds[0]);
	worker_fixture_finish(&w);
}

static void
test_a_peer_that_never_reads_does_not_block_others(void **state)
{
	struct worker_fixture w;
	int blocked[2], other[2];
	char answer[8];

	(void)state;
	worker_fixture_start(&w, "upper", FRAMING_STREAM, 64 * 1024, MAX_PENDING);
	open_tcp_pair(blocked, 0);
	open_tcp_pair(other, 0);
	worker_fixture_serve(&w, blocked[1]);
	send_until_blocked(&w, blocked[0], NULL);
	worker_fixture_serve(&w, other[1]);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(send(other[0], "hello", 5, 0), 5);
		assert_true(
		    worker_fixture_run_until(&w, recv(other[0], answer, 8, 0) == 5));
		assert_memory_equal(answer, "HELLO", 5);
	}
	close(blocked[0]);
	close(other[0]);
	worker_fixture_finish(&w);
}

/* One edge reports all of it, but a wake-up reads only a part. */
static void
test_continues_reading_at_the_next_wake_up(void **state)
{
	static uint8_t much[300000];
	struct worker_fixture w;
	int fds[2];

	(void)state;
	worker_fixture_start(&w, "discard", FRAMING_STREAM, 64 * 1024, MAX_PENDING);
	open_unix_pair(fds, 212992);
	worker_fixture_serve(&w, fds[1]);
	ssize_t sent = send(fds[0], much, sizeof(much), 0);
	assert_true(sent > 4 * WORKER_INPUT_BYTES);
	worker_fixture_run_once(&w);
	assert_int_equal(
	    worker_fixture_count(&w, LEDGER_BYTES_RECEIVED), 4 * WORKER_INPUT_BYTES);
	assert_true(worker_fixture_run_until(
	    &w, worker_fixture_count(&w, LEDGER_BYTES_RECEIVED) == (uint64_t)sent));
	close(fds[0]);
	assert_true(worker_fixture_run_until(&w, w.worker.connections.count == 0));
	worker_fixture_finish(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits_output_queued_for_a_peer_that_never_reads),
		cmocka_unit_test(
		    test_limits_output_of_a_flood_of_empty_length32_messages),
		cmocka_unit_test(test_resumes_reading_below_half_of_max_pending),
		cmocka_unit_test(test_continues_reading_at_the_next_wake_up),
		cmocka_unit_test(test_a_peer_that_never_reads_does_not_block_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
