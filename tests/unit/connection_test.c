#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/peer_fixture.h"
#include "tests/lib/specification.h"
#include "worker/drain.h"

#define MAX_MESSAGE 100
#define INPUT_BYTES 30000
#define LONG_INPUT_BYTES 300000

static const struct spec_reply *
spec_reply(const char *text)
{
	for (size_t i = 0; i < SPEC_REPLIES; i++) {
		if (strcmp(spec_replies[i].text, text) == 0)
			return &spec_replies[i];
	}
	fail_msg("no such row: %s", text);
	return NULL;
}

static size_t
make_lines(uint8_t *data, size_t size, size_t longest)
{
	size_t length = 0;

	while (length + longest + 1 < size) {
		size_t line = (size_t)rand() % (longest + 1);
		for (size_t i = 0; i < line; i++)
			data[length++] = (uint8_t)(' ' + rand() % 95);
		data[length++] = '\n';
	}
	length -= (size_t)rand() % 2; /* the last line may have no end */
	return length;
}

static size_t
make_counted(uint8_t *data, size_t size, size_t longest)
{
	size_t length = 0;

	while (length + longest + 4 < size) {
		size_t payload = (size_t)rand() % (longest + 1);
		memcpy(data + length, "\0\0", 2);
		data[length + 2] = (uint8_t)(payload >> 8);
		data[length + 3] = (uint8_t)payload;
		length += 4;
		for (size_t i = 0; i < payload; i++)
			data[length++] = (uint8_t)rand();
	}
	return length;
}

static size_t
make_input(uint8_t *data, size_t size, enum framing framing, size_t longest)
{
	if (framing == FRAMING_LINE)
		return make_lines(data, size, longest);
	if (framing == FRAMING_LENGTH32)
		return make_counted(data, size, longest);
	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)(2 + rand() % 254); /* \1 is in suffixes only */
	return size;
}

static void
check_answer(struct worker_fixture *w, const struct spec_reply *reply,
    const uint8_t *data, size_t length, const struct received *received)
{
	enum framing framing = w->listener_config.framing;
	uint64_t messages = worker_fixture_count(w, LEDGER_MESSAGES_RECEIVED);

	if (spec_depends_on_cuts(reply, framing)) {
		assert_true(spec_is_cut_stream(reply, MAX_MESSAGE, data, length,
		    messages, received->bytes, received->length));
		return;
	}
	struct spec_answer expected =
	    spec_answer(reply, framing, MAX_MESSAGE, data, length);
	assert_int_equal(received->length, expected.length);
	if (expected.length > 0)
		assert_memory_equal(received->bytes, expected.bytes, expected.length);
	if (framing != FRAMING_STREAM)
		assert_int_equal(messages, expected.messages);
	free(expected.bytes);
}

struct dialogue {
	void (*open_pair)(int fds[2], int buffer);
	size_t bytes, longest; /* of the input, of a message */
	size_t piece_max;
	uint64_t max_pending;
	bool is_level; /* level-triggered events, as with poll and select */
};

static void
check_conversation(
    const struct spec_reply *reply, enum framing framing, const struct dialogue *c)
{
	static uint8_t data[LONG_INPUT_BYTES];
	size_t length = make_input(data, c->bytes, framing, c->longest);
	struct received received = { 0 };
	struct worker_fixture w;
	int fds[2];

	worker_fixture_start(&w, reply->text, framing, MAX_MESSAGE, c->max_pending);
	if (c->is_level)
		w.worker.edge_events = 0;
	c->open_pair(fds, 4096);
	worker_fixture_serve(&w, fds[1]);
	send_all_and_receive(&w, fds[0], data, length, c->piece_max, &received);
	check_answer(&w, reply, data, length, &received);
	check_ledger(&w, length, &received, CLOSE_PEER_CLOSED);
	free(received.bytes);
	close(fds[0]);
	worker_fixture_finish(&w);
}

static void
check_all_conversations(const struct dialogue *c)
{
	for (size_t i = 0; i < SPEC_REPLIES; i++) {
		for (int framing = 0; framing_names[framing] != NULL; framing++)
			check_conversation(&spec_replies[i], (enum framing)framing, c);
	}
}

static void
test_replies_are_exact_in_every_framing_and_segmentation(void **state)
{
	static const struct dialogue rows[] = {
		{ open_unix_pair, INPUT_BYTES, MAX_MESSAGE, 1, 1 << 20, false },
		{ open_tcp_pair, INPUT_BYTES, MAX_MESSAGE, 7, 1 << 20, false },
		{ open_unix_pair, INPUT_BYTES, MAX_MESSAGE, 300, 1 << 20, false },
		{ open_tcp_pair, INPUT_BYTES, MAX_MESSAGE, 10000, 1 << 20, false },
	};

	(void)state;
	srand(3);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_all_conversations(&rows[i]);
}

/* Reading pauses and resumes every few messages, or, with short ones, in the middle of
 * one read. */
static void
test_replies_are_exact_in_every_framing_under_back_pressure(void **state)
{
	static const struct dialogue rows[] = {
		{ open_tcp_pair, INPUT_BYTES, MAX_MESSAGE, 20000, 0, false },
		{ open_unix_pair, INPUT_BYTES, MAX_MESSAGE, 20000, 1, false },
		{ open_tcp_pair, INPUT_BYTES, MAX_MESSAGE, 20000, 50, false },
		{ open_unix_pair, INPUT_BYTES, MAX_MESSAGE, 20000, 1024, false },
		{ open_tcp_pair, LONG_INPUT_BYTES, 3, 100000, 1024, false },
	};

	(void)state;
	srand(4);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_all_conversations(&rows[i]);
}

static void
test_sends_queued_replies_after_the_peer_half_closes(void **state)
{
	static uint8_t data[INPUT_BYTES];
	size_t length = make_input(data, sizeof(data), FRAMING_LINE, MAX_MESSAGE);
	const struct spec_reply *reply = spec_reply("upper,suffix=_SB");
	struct received received = { 0 };
	struct worker_fixture w;
	int fds[2];

	(void)state;
	worker_fixture_start(&w, reply->text, FRAMING_LINE, MAX_MESSAGE, 1024 * 1024);
	open_unix_pair(fds, 4096);
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &(int){ 1 << 20 }, sizeof(int));
	worker_fixture_serve(&w, fds[1]);
	assert_int_equal(send(fds[0], data, length, 0), (ssize_t)length);
	assert_int_equal(shutdown(fds[0], SHUT_WR), 0);
	assert_true(worker_fixture_run_until(
	    &w, worker_fixture_count(&w, LEDGER_BYTES_RECEIVED) == length));
	for (int i = 0; i < 10; i++)
		worker_fixture_run_once(&w);
	assert_false(LIST_EMPTY(&w.worker.queued_outputs));
	assert_int_equal(w.worker.connections.count, 1);
	assert_true(worker_fixture_run_until(
	    &w, (receive_some(&received, fds[0], 3000), received.is_over)));
	check_answer(&w, reply, data, length, &received);
	check_ledger(&w, length, &received, CLOSE_PEER_CLOSED);
	free(received.bytes);
	close(fds[0]);
	worker_fixture_finish(&w);
}

/* Without framing each read is a message, or several if it exceeds max_message. */
static void
test_splits_a_long_read_of_a_stream_into_messages_of_max_message(void **state)
{
	static const struct {
		size_t length;
		uint64_t messages;
	} rows[] = { { 1, 1 }, { MAX_MESSAGE, 1 }, { MAX_MESSAGE + 1, 2 },
		{ 2 * MAX_MESSAGE, 2 }, { 2 * MAX_MESSAGE + 1, 3 } };
	static const uint8_t data[3 * MAX_MESSAGE];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t length = rows[i].length;
		struct received received = { 0 };
		struct worker_fixture w;
		int fds[2];

		worker_fixture_start(&w, "echo", FRAMING_STREAM, MAX_MESSAGE, 1024);
		open_unix_pair(fds, 0);
		worker_fixture_serve(&w, fds[1]);
		assert_int_equal(send(fds[0], data, length, 0), (ssize_t)length);
		assert_true(worker_fixture_run_until(&w,
		    (receive_some(&received, fds[0], length),
			received.length == length)));
		assert_int_equal(worker_fixture_count(&w, LEDGER_MESSAGES_RECEIVED),
		    rows[i].messages);
		assert_int_equal(
		    worker_fixture_count(&w, LEDGER_REPLIES_SENT), rows[i].messages);
		free(received.bytes);
		close(fds[0]);
		worker_fixture_finish(&w);
	}
}

static void
test_an_idle_connection_allocates_no_buffers(void **state)
{
	struct worker_fixture w;
	struct received received = { 0 };
	int fds[2];

	(void)state;
	worker_fixture_start(&w, "echo", FRAMING_LINE, MAX_MESSAGE, 1024);
	open_tcp_pair(fds, 0);
	worker_fixture_serve(&w, fds[1]);
	struct connection *connection = worker_fixture_connection(&w);
	assert_int_equal(send(fds[0], "one\ntw", 6, 0), 6);
	assert_true(worker_fixture_run_until(
	    &w, (receive_some(&received, fds[0], 100), received.length == 4)));
	assert_int_equal(buffer_length(connection->input), 2);
	assert_int_equal(send(fds[0], "o\n", 2, 0), 2);
	assert_true(worker_fixture_run_until(
	    &w, (receive_some(&received, fds[0], 100), received.length == 8)));
	assert_memory_equal(received.bytes, "one\ntwo\n", 8);
	assert_null(connection->input);
	assert_null(connection->output);
	free(received.bytes);
	close(fds[0]);
	worker_fixture_finish(&w);
}

static void
test_frees_memory_after_a_long_reply(void **state)
{
	enum { LONG = 1000000 };
	uint8_t *line = malloc(LONG + 1);
	struct worker_fixture w;
	struct received received = { 0 };
	int fds[2];

	(void)state;
	assert_non_null(line);
	memset(line, 'x', LONG);
	line[LONG] = '\n';
	worker_fixture_start(&w, "upper", FRAMING_LINE, LONG, 1024);
	open_unix_pair(fds, 0);
	worker_fixture_serve(&w, fds[1]);
	send_all_and_receive(&w, fds[0], line, LONG + 1, LONG, &received);
	assert_int_equal(received.length, LONG + 1);
	assert_int_equal(received.bytes[LONG - 1], 'X');
	assert_int_equal(received.bytes[LONG], '\n');
	assert_in_range(w.worker.batch.capacity, 1, WORKER_INPUT_BYTES);
	free(received.bytes);
	free(line);
	close(fds[0]);
	worker_fixture_finish(&w);
}

static void
on_no_timer(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	(void)argument;
}

static void
test_keeps_the_protocol_error_as_close_reason_during_shutdown(void **state)
{
	static const char line[MAX_MESSAGE + 1] = { 'x' };
	struct worker_fixture w;
	int fds[2];

	(void)state;
	worker_fixture_start(&w, "echo", FRAMING_LINE, MAX_MESSAGE, 1024);
	evtimer_assign(&w.worker.accept.resume_timer, w.worker.base, on_no_timer, NULL);
	evtimer_assign(
	    &w.worker.accept.drain_queue_timer, w.worker.base, on_no_timer, NULL);
	open_tcp_pair(fds, 0);
	worker_fixture_serve(&w, fds[1]);
	assert_int_equal(send(fds[0], line, sizeof(line), 0), sizeof(line));
	assert_true(worker_fixture_run_until(&w, w.worker.lingering_count == 1));
	drain_abort(&w.worker);
	assert_int_equal(w.worker.connections.count, 0);
	assert_int_equal(worker_fixture_closed(&w, CLOSE_MESSAGE_TOO_LONG), 1);
	close(fds[0]);
	worker_fixture_finish(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_keeps_the_protocol_error_as_close_reason_during_shutdown),
		cmocka_unit_test(
		    test_replies_are_exact_in_every_framing_and_segmentation),
		cmocka_unit_test(
		    test_replies_are_exact_in_every_framing_under_back_pressure),
		cmocka_unit_test(test_sends_queued_replies_after_the_peer_half_closes),
		cmocka_unit_test(
		    test_splits_a_long_read_of_a_stream_into_messages_of_max_message),
		cmocka_unit_test(test_an_idle_connection_allocates_no_buffers),
		cmocka_unit_test(test_frees_memory_after_a_long_reply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
