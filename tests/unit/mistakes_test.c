#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/conversation.h"

#define MAX_MESSAGE 100

static void
check_too_long(enum framing framing, const char *good, size_t good_length,
    const char *bad, size_t bad_length, bool is_tcp)
{
	char more[4096] = "";
	struct heard heard = { 0 };
	struct one_worker w;
	int fds[2];

	one_worker_start(&w, "echo", framing, 10, 1024);
	must(timeouts_start(&w.worker) == 0);
	(is_tcp ? open_tcp_pair : open_unix_pair)(fds, 0);
	one_worker_serve(&w, fds[1]);
	assert_int_equal(
	    send(fds[0], good, good_length, MSG_NOSIGNAL), (ssize_t)good_length);
	assert_int_equal(
	    send(fds[0], bad, bad_length, MSG_NOSIGNAL), (ssize_t)bad_length);
	assert_true(one_worker_until(&w, w.worker.lingering == 1));
	assert_null(one_worker_connection(&w)->input);
	/* It goes on talking: no reset may overtake what it was answered. */
	for (int i = 0; i < 100; i++) {
		assert_true(send(fds[0], more, sizeof(more), MSG_NOSIGNAL) > 0);
		one_worker_turn(&w);
	}
	assert_true(one_worker_until(&w, (hear(&heard, fds[0], 100), heard.is_over)));
	assert_int_equal(heard.error, 0);
	assert_int_equal(heard.length, good_length);
	assert_memory_equal(heard.bytes, good, good_length);
	assert_int_equal(w.worker.connection_pool.count, 1);
	close(fds[0]);
	assert_true(one_worker_until(&w, w.worker.connection_pool.count == 0));
	assert_int_equal(one_worker_closed(&w, CLOSE_MESSAGE_TOO_LONG), 1);
	assert_int_equal(one_worker_count(&w, LEDGER_BYTES_RECEIVED),
	    good_length + bad_length + 100 * sizeof(more));
	assert_int_equal(one_worker_count(&w, LEDGER_MESSAGES_RECEIVED), 2);
	assert_true(one_worker_adds_up(&w));
	free(heard.bytes);
	one_worker_finish(&w);
}

static void
test_before_a_message_that_is_too_long_everything_owed_arrives(void **state)
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
test_who_lingers_after_a_mistake_is_closed_after_two_seconds(void **state)
{
	struct one_worker w;
	int fds[2];

	(void)state;
	one_worker_start(&w, "echo", FRAMING_LINE, 10, 1024);
	w.config.timeouts.stalled_write_ns = 400 * UINT64_C(1000000);
	must(timeouts_start(&w.worker) == 0);
	open_tcp_pair(fds, 0);
	one_worker_serve(&w, fds[1]);
	uint64_t since_ms = one_worker_clock_ms();
	assert_int_equal(send(fds[0], "0123456789a", 11, 0), 11);
	assert_true(one_worker_until(&w, w.worker.lingering == 1));
	assert_true(one_worker_until(&w, w.worker.connection_pool.count == 0));
	assert_in_range(one_worker_clock_ms() - since_ms, 1990, 6000);
	assert_int_equal(one_worker_closed(&w, CLOSE_MESSAGE_TOO_LONG), 1);
	close(fds[0]);
	one_worker_finish(&w);
}

static void
test_half_a_length32_message_is_told_apart_from_an_orderly_end(void **state)
{
	static const uint8_t data[] = "\0\0\0\3abc\0\0\0\5de";

	(void)state;
	for (size_t length = 7; length < sizeof(data); length++) {
		struct heard heard = { 0 };
		struct one_worker w;
		int fds[2];

		one_worker_start(&w, "echo", FRAMING_LENGTH32, MAX_MESSAGE, 1024);
		open_tcp_pair(fds, 0);
		one_worker_serve(&w, fds[1]);
		converse(&w, fds[0], data, length, 5, &heard);
		assert_int_equal(heard.length, 7);
		assert_memory_equal(heard.bytes, data, 7);
		check_books(&w, length, &heard,
		    length == 7 ? CLOSE_PEER_CLOSED : CLOSE_TRUNCATED_MESSAGE);
		free(heard.bytes);
		close(fds[0]);
		one_worker_finish(&w);
	}
}

/* The mistake is the reason, though all that was owed had to be sent first. */
static void
test_half_a_message_is_told_apart_when_replies_wait_too(void **state)
{
	static uint8_t data[30000 + 2];
	struct heard heard = { 0 };
	struct one_worker w;
	int fds[2];

	(void)state;
	/* Messages of no bytes, and half a header. */
	one_worker_start(
	    &w, "fixed=a long answer", FRAMING_LENGTH32, MAX_MESSAGE, 1 << 20);
	open_unix_pair(fds, 4096);
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &(int){ 1 << 20 }, sizeof(int));
	one_worker_serve(&w, fds[1]);
	assert_int_equal(send(fds[0], data, sizeof(data), 0), sizeof(data));
	assert_int_equal(shutdown(fds[0], SHUT_WR), 0);
	assert_true(one_worker_until(
	    &w, one_worker_count(&w, LEDGER_BYTES_RECEIVED) == sizeof(data)));
	for (int i = 0; i < 10; i++)
		one_worker_turn(&w);
	assert_non_null(w.worker.queued_outputs);
	assert_true(one_worker_until(&w, (hear(&heard, fds[0], 3000), heard.is_over)));
	assert_int_equal(heard.length, 7500 * (4 + strlen("a long answer")));
	check_books(&w, sizeof(data), &heard, CLOSE_TRUNCATED_MESSAGE);
	free(heard.bytes);
	close(fds[0]);
	one_worker_finish(&w);
}

static void
test_a_reset_is_counted_with_what_was_still_owed(void **state)
{
	static uint8_t data[30000];
	struct linger at_once = { .l_onoff = 1 };
	struct one_worker w;
	int fds[2];

	(void)state;
	one_worker_start(&w, "echo", FRAMING_STREAM, MAX_MESSAGE, 1024 * 1024);
	open_tcp_pair(fds, 4096);
	one_worker_serve(&w, fds[1]);
	size_t said = 0;
	for (int i = 0; i < 1000 &&
	     buffer_length(w.worker.queued_outputs == NULL
		     ? NULL
		     : w.worker.queued_outputs->bytes) < 100000;
	     i++) {
		ssize_t n = send(fds[0], data, sizeof(data), MSG_NOSIGNAL);
		said += n > 0 ? (size_t)n : 0;
		one_worker_turn(&w);
	}
	assert_non_null(w.worker.queued_outputs);
	assert_int_equal(
	    setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
	close(fds[0]);
	assert_true(one_worker_until(&w, w.worker.connection_pool.count == 0));
	assert_int_equal(one_worker_closed(&w, CLOSE_RESET), 1);
	assert_true(one_worker_count(&w, LEDGER_BYTES_DROPPED) > 0);
	assert_int_equal(one_worker_count(&w, LEDGER_BYTES_RECEIVED),
	    one_worker_count(&w, LEDGER_BYTES_SENT) +
		one_worker_count(&w, LEDGER_BYTES_DROPPED));
	assert_true(one_worker_count(&w, LEDGER_BYTES_RECEIVED) <= said);
	assert_true(one_worker_adds_up(&w));
	one_worker_finish(&w);
}

/* Nothing is sent that could fail: the reset must be read. */
static void
check_reset_behind(const char *reply, enum framing framing, const char *said)
{
	struct linger at_once = { .l_onoff = 1 };
	struct one_worker w;
	int fds[2];

	one_worker_start(&w, reply, framing, MAX_MESSAGE, 1024);
	open_tcp_pair(fds, 0);
	one_worker_serve(&w, fds[1]);
	assert_true(send(fds[0], said, strlen(said), 0) > 0);
	assert_int_equal(
	    setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
	close(fds[0]);
	assert_true(one_worker_until(&w, w.worker.connection_pool.count == 0));
	assert_int_equal(one_worker_closed(&w, CLOSE_RESET), 1);
	assert_int_equal(one_worker_count(&w, LEDGER_BYTES_RECEIVED), strlen(said));
	one_worker_finish(&w);
}

static void
test_a_reset_right_behind_what_needs_no_answer_is_seen(void **state)
{
	(void)state;
	check_reset_behind("discard", FRAMING_STREAM, "message");
	check_reset_behind("echo", FRAMING_LINE, "half a line");
	check_reset_behind("fixed=", FRAMING_STREAM, "message");
}

static void
test_an_answer_that_finds_nobody_is_counted_as_dropped(void **state)
{
	struct one_worker w;
	int fds[2];

	(void)state;
	one_worker_start(&w, "echo", FRAMING_STREAM, MAX_MESSAGE, 1024);
	open_unix_pair(fds, 0);
	one_worker_serve(&w, fds[1]);
	assert_int_equal(send(fds[0], "hello", 5, 0), 5);
	close(fds[0]);
	assert_true(one_worker_until(&w, w.worker.connection_pool.count == 0));
	assert_int_equal(one_worker_closed(&w, CLOSE_RESET), 1);
	assert_int_equal(one_worker_count(&w, LEDGER_BYTES_DROPPED), 5);
	assert_int_equal(one_worker_count(&w, LEDGER_REPLIES_SENT), 0);
	assert_true(one_worker_adds_up(&w));
	one_worker_finish(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_before_a_message_that_is_too_long_everything_owed_arrives),
		cmocka_unit_test(
		    test_who_lingers_after_a_mistake_is_closed_after_two_seconds),
		cmocka_unit_test(
		    test_half_a_length32_message_is_told_apart_from_an_orderly_end),
		cmocka_unit_test(
		    test_half_a_message_is_told_apart_when_replies_wait_too),
		cmocka_unit_test(test_a_reset_is_counted_with_what_was_still_owed),
		cmocka_unit_test(
		    test_a_reset_right_behind_what_needs_no_answer_is_seen),
		cmocka_unit_test(
		    test_an_answer_that_finds_nobody_is_counted_as_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
