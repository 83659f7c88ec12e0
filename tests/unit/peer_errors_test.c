#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/peer_fixture.h"

#define MAX_MESSAGE 100

static void
check_too_long(enum framing framing, const char *good, size_t good_length,
    const char *bad, size_t bad_length, bool is_tcp)
{
	char more[4096] = "";
	struct received received = { 0 };
	struct worker_fixture w;
	int fds[2];

	worker_fixture_start(&w, "echo", framing, 10, 1024);
	must(timeouts_start(&w.worker) == 0);
	(is_tcp ? open_tcp_pair : open_unix_pair)(fds, 0);
	worker_fixture_serve(&w, fds[1]);
	assert_int_equal(
	    send(fds[0], good, good_length, MSG_NOSIGNAL), (ssize_t)good_length);
	assert_int_equal(
	    send(fds[0], bad, bad_length, MSG_NOSIGNAL), (ssize_t)bad_length);
	assert_true(worker_fixture_run_until(&w, w.worker.lingering_count == 1));
	assert_null(worker_fixture_connection(&w)->input);
	/* The peer keeps sending: no reset may overtake the replies. */
	for (int i = 0; i < 100; i++) {
		assert_true(send(fds[0], more, sizeof(more), MSG_NOSIGNAL) > 0);
		worker_fixture_run_once(&w);
	}
	assert_true(worker_fixture_run_until(
	    &w, (receive_some(&received, fds[0], 100), received.is_over)));
	assert_int_equal(received.error, 0);
	assert_int_equal(received.length, good_length);
	assert_memory_equal(received.bytes, good, good_length);
	assert_int_equal(w.worker.connections.count, 1);
	close(fds[0]);
	assert_true(worker_fixture_run_until(&w, w.worker.connections.count == 0));
	assert_int_equal(worker_fixture_closed(&w, CLOSE_MESSAGE_TOO_LONG), 1);
	assert_int_equal(worker_fixture_count(&w, LEDGER_BYTES_RECEIVED),
	    good_length + bad_length + 100 * sizeof(more));
	assert_int_equal(worker_fixture_count(&w, LEDGER_MESSAGES_RECEIVED), 2);
	assert_true(worker_fixture_is_balanced(&w));
	free(received.bytes);
	worker_fixture_finish(&w);
}

static void
test_sends_all_replies_before_closing_for_a_message_too_long(void **state)
{
	(void)state;
	for (int tcp = 0; tcp < 2; tcp++) {
		check_too_long(
		    FRAMING_LINE, "0123456789\ntwo\n", 15, "0123456789a", 11, tcp);
		check_too_long(
		    FRAMING_LENGTH32, "\0\0\0\0\0\0\0\1x", 9, "\0\0\0\xb", 4, tcp);
	}
}

static void
test_closes_a_lingering_connection_after_two_seconds(void **state)
{
	struct worker_fixture w;
	int fds[2];

	(void)state;
	worker_fixture_start(&w, "echo", FRAMING_LINE, 10, 1024);
	w.config.timeouts.stalled_write_ns = 400 * UINT64_C(1000000);
	must(timeouts_start(&w.worker) == 0);
	open_tcp_pair(fds, 0);
	worker_fixture_serve(&w, fds[1]);
	uint64_t since_ms = worker_fixture_clock_ms();
	assert_int_equal(send(fds[0], "0123456789a", 11, 0), 11);
	assert_true(worker_fixture_run_until(&w, w.worker.lingering_count == 1));
	assert_true(worker_fixture_run_until(&w, w.worker.connections.count == 0));
	assert_in_range(worker_fixture_clock_ms() - since_ms, 1990, 60000);
	assert_int_equal(worker_fixture_closed(&w, CLOSE_MESSAGE_TOO_LONG), 1);
	close(fds[0]);
	worker_fixture_finish(&w);
}

static void
test_reports_a_truncated_length32_message(void **state)
{
	static const uint8_t data[] = "\0\0\0\3abc\0\0\0\5de";

	(void)state;
	for (size_t length = 7; length < sizeof(data); length++) {
		struct received received = { 0 };
		struct worker_fixture w;
		int fds[2];

		worker_fixture_start(&w, "echo", FRAMING_LENGTH32, MAX_MESSAGE, 1024);
		open_tcp_pair(fds, 0);
		worker_fixture_serve(&w, fds[1]);
		send_all_and_receive(&w, fds[0], data, length, 5, &received);
		assert_int_equal(received.length, 7);
		assert_memory_equal(received.bytes, data, 7);
		check_ledger(&w, length, &received,
		    length == 7 ? CLOSE_PEER_CLOSED : CLOSE_TRUNCATED_MESSAGE);
		free(received.bytes);
		close(fds[0]);
		worker_fixture_finish(&w);
	}
}

/* The protocol error stays the close reason, although queued replies are sent first. */
static void
test_reports_a_truncated_message_while_replies_are_queued(void **state)
{
	static uint8_t data[30000 + 2];
	struct received received = { 0 };
	struct worker_fixture w;
	int fds[2];

	(void)state;
	/* Empty messages, then half a header. */
	worker_fixture_start(
	    &w, "fixed=a long answer", FRAMING_LENGTH32, MAX_MESSAGE, 1 << 20);
	open_unix_pair(fds, 4096);
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &(int){ 1 << 20 }, sizeof(int));
	worker_fixture_serve(&w, fds[1]);
	assert_int_equal(send(fds[0], data, sizeof(data), 0), sizeof(data));
	assert_int_equal(shutdown(fds[0], SHUT_WR), 0);
	assert_true(worker_fixture_run_until(
	    &w, worker_fixture_count(&w, LEDGER_BYTES_RECEIVED) == sizeof(data)));
	for (int i = 0; i < 10; i++)
		worker_fixture_run_once(&w);
	assert_false(LIST_EMPTY(&w.worker.queued_outputs));
	assert_true(worker_fixture_run_until(
	    &w, (receive_some(&received, fds[0], 3000), received.is_over)));
	assert_int_equal(received.length, 7500 * (4 + strlen("a long answer")));
	check_ledger(&w, sizeof(data), &received, CLOSE_TRUNCATED_MESSAGE);
	free(received.bytes);
	close(fds[0]);
	worker_fixture_finish(&w);
}

static void
test_counts_unsent_bytes_on_reset(void **state)
{
	static uint8_t data[30000];
	struct linger at_once = { .l_onoff = 1 };
	struct worker_fixture w;
	int fds[2];

	(void)state;
	worker_fixture_start(&w, "echo", FRAMING_STREAM, MAX_MESSAGE, 1024 * 1024);
	open_tcp_pair(fds, 4096);
	worker_fixture_serve(&w, fds[1]);
	size_t sent = 0;
	for (int i = 0; i < 1000 &&
	     buffer_length(LIST_EMPTY(&w.worker.queued_outputs)
		     ? NULL
		     : LIST_FIRST(&w.worker.queued_outputs)->bytes) < 100000;
	     i++) {
		ssize_t n = send(fds[0], data, sizeof(data), MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		worker_fixture_run_once(&w);
	}
	assert_false(LIST_EMPTY(&w.worker.queued_outputs));
	assert_int_equal(
	    setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
	close(fds[0]);
	assert_true(worker_fixture_run_until(&w, w.worker.connections.count == 0));
	assert_int_equal(worker_fixture_closed(&w, CLOSE_RESET), 1);
	assert_true(worker_fixture_count(&w, LEDGER_BYTES_DROPPED) > 0);
	assert_int_equal(worker_fixture_count(&w, LEDGER_BYTES_RECEIVED),
	    worker_fixture_count(&w, LEDGER_BYTES_SENT) +
		worker_fixture_count(&w, LEDGER_BYTES_DROPPED));
	assert_true(worker_fixture_count(&w, LEDGER_BYTES_RECEIVED) <= sent);
	assert_true(worker_fixture_is_balanced(&w));
	worker_fixture_finish(&w);
}

/* No send can fail, so the reset must be found by a read. */
static void
check_reset_after(const char *reply, enum framing framing, const char *sent)
{
	struct linger at_once = { .l_onoff = 1 };
	struct worker_fixture w;
	int fds[2];

	worker_fixture_start(&w, reply, framing, MAX_MESSAGE, 1024);
	open_tcp_pair(fds, 0);
	worker_fixture_serve(&w, fds[1]);
	assert_true(send(fds[0], sent, strlen(sent), 0) > 0);
	assert_int_equal(
	    setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
	close(fds[0]);
	assert_true(worker_fixture_run_until(&w, w.worker.connections.count == 0));
	assert_int_equal(worker_fixture_closed(&w, CLOSE_RESET), 1);
	assert_int_equal(worker_fixture_count(&w, LEDGER_BYTES_RECEIVED), strlen(sent));
	worker_fixture_finish(&w);
}

static void
test_detects_a_reset_after_messages_without_reply(void **state)
{
	(void)state;
	check_reset_after("discard", FRAMING_STREAM, "message");
	check_reset_after("echo", FRAMING_LINE, "half a line");
	check_reset_after("fixed=", FRAMING_STREAM, "message");
}

static void
test_counts_replies_to_a_closed_peer_as_dropped(void **state)
{
	struct worker_fixture w;
	int fds[2];

	(void)state;
	worker_fixture_start(&w, "echo", FRAMING_STREAM, MAX_MESSAGE, 1024);
	open_unix_pair(fds, 0);
	worker_fixture_serve(&w, fds[1]);
	assert_int_equal(send(fds[0], "hello", 5, 0), 5);
	close(fds[0]);
	assert_true(worker_fixture_run_until(&w, w.worker.connections.count == 0));
	assert_int_equal(worker_fixture_closed(&w, CLOSE_RESET), 1);
	assert_int_equal(worker_fixture_count(&w, LEDGER_BYTES_DROPPED), 5);
	assert_int_equal(worker_fixture_count(&w, LEDGER_REPLIES_SENT), 0);
	assert_true(worker_fixture_is_balanced(&w));
	worker_fixture_finish(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_sends_all_replies_before_closing_for_a_message_too_long),
		cmocka_unit_test(test_closes_a_lingering_connection_after_two_seconds),
		cmocka_unit_test(test_reports_a_truncated_length32_message),
		cmocka_unit_test(
		    test_reports_a_truncated_message_while_replies_are_queued),
		cmocka_unit_test(test_counts_unsent_bytes_on_reset),
		cmocka_unit_test(test_detects_a_reset_after_messages_without_reply),
		cmocka_unit_test(test_counts_replies_to_a_closed_peer_as_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
