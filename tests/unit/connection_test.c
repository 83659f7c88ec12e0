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

#include "tests/lib/one_worker.h"
#include "tests/lib/specification.h"

#define MAX_MESSAGE 100
#define INPUT_BYTES 30000

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

/* What the peer has read. */
struct heard {
	uint8_t *bytes;
	size_t length;
	bool is_over;
	int error;
};

static void
hear(struct heard *heard, int fd, size_t most)
{
	uint8_t data[4096];

	while (most > 0 && !heard->is_over) {
		size_t wanted = most < sizeof(data) ? most : sizeof(data);
		ssize_t n = recv(fd, data, wanted, 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			heard->is_over = true;
			heard->error = n < 0 ? errno : 0;
			return;
		}
		heard->bytes = realloc(heard->bytes, heard->length + (size_t)n);
		assert_non_null(heard->bytes);
		memcpy(heard->bytes + heard->length, data, (size_t)n);
		heard->length += (size_t)n;
		most -= (size_t)n;
	}
}

/* Says data[length] in pieces of random length, half-closes, and hears everything. */
static void
converse(struct one_worker *w, int fd, const uint8_t *data, size_t length,
    size_t piece_max, struct heard *heard)
{
	uint64_t end_ms = one_worker_clock_ms() + 10000;
	size_t said = 0;
	bool has_shut = false;

	while (!heard->is_over && one_worker_clock_ms() < end_ms) {
		size_t piece = 1 + (size_t)rand() % piece_max;
		if (piece > length - said)
			piece = length - said;
		ssize_t n = piece == 0 ? 0 : send(fd, data + said, piece, MSG_NOSIGNAL);
		if (n > 0)
			said += (size_t)n;
		else if (n < 0 && errno != EAGAIN)
			said = length; /* the server wants no more */
		if (said == length && !has_shut) {
			shutdown(fd, SHUT_WR);
			has_shut = true;
		}
		one_worker_turn(w);
		if (has_shut || rand() % 4 == 0)
			hear(heard, fd, 1 + (size_t)rand() % 5000);
	}
	assert_true(heard->is_over);
	assert_int_equal(heard->error, 0);
	one_worker_turn(w);
}

static size_t
make_lines(uint8_t *data, size_t longest)
{
	size_t length = 0;

	while (length + longest + 1 < INPUT_BYTES) {
		size_t line = (size_t)rand() % (longest + 1);
		for (size_t i = 0; i < line; i++)
			data[length++] = (uint8_t)(' ' + rand() % 95);
		data[length++] = '\n';
	}
	length -= (size_t)rand() % 2; /* the last line may have no end */
	return length;
}

static size_t
make_counted(uint8_t *data, size_t longest)
{
	size_t length = 0;

	while (length + longest + 4 < INPUT_BYTES) {
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
make_input(uint8_t *data, enum framing framing, size_t longest)
{
	if (framing == FRAMING_LINE)
		return make_lines(data, longest);
	if (framing == FRAMING_LENGTH32)
		return make_counted(data, longest);
	for (size_t i = 0; i < INPUT_BYTES; i++)
		data[i] = (uint8_t)(2 + rand() % 254); /* never a suffix's \1 */
	return INPUT_BYTES;
}

static void
check_answer(struct one_worker *w, const struct spec_reply *reply, const uint8_t *data,
    size_t length, const struct heard *heard)
{
	enum framing framing = w->listener_config.framing;
	uint64_t messages = one_worker_count(w, LEDGER_MESSAGES_RECEIVED);

	if (spec_depends_on_cuts(reply, framing)) {
		assert_true(spec_is_cut_stream(reply, MAX_MESSAGE, data, length,
		    messages, heard->bytes, heard->length));
		return;
	}
	struct spec_answer wanted =
	    spec_answer(reply, framing, MAX_MESSAGE, data, length);
	assert_int_equal(heard->length, wanted.length);
	if (wanted.length > 0)
		assert_memory_equal(heard->bytes, wanted.bytes, wanted.length);
	if (framing != FRAMING_STREAM)
		assert_int_equal(messages, wanted.messages);
	free(wanted.bytes);
}

static void
check_books(struct one_worker *w, size_t length, const struct heard *heard,
    enum close_reason reason)
{
	uint64_t messages = one_worker_count(w, LEDGER_MESSAGES_RECEIVED);

	assert_true(one_worker_adds_up(w));
	assert_int_equal(one_worker_closed(w, reason), 1);
	assert_int_equal(one_worker_count(w, LEDGER_BYTES_RECEIVED), length);
	assert_int_equal(one_worker_count(w, LEDGER_BYTES_SENT), heard->length);
	assert_int_equal(one_worker_count(w, LEDGER_BYTES_DROPPED), 0);
	if (heard->length > 0)
		assert_int_equal(one_worker_count(w, LEDGER_REPLIES_SENT), messages);
}

static void
check_conversation(const struct spec_reply *reply, enum framing framing,
    void (*open_pair)(int[2], int), size_t piece_max, uint64_t max_pending)
{
	static uint8_t data[INPUT_BYTES];
	size_t length = make_input(data, framing, MAX_MESSAGE);
	struct heard heard = { 0 };
	struct one_worker w;
	int fds[2];

	one_worker_start(&w, reply->text, framing, MAX_MESSAGE, max_pending);
	open_pair(fds, 4096);
	one_worker_serve(&w, fds[1]);
	converse(&w, fds[0], data, length, piece_max, &heard);
	check_answer(&w, reply, data, length, &heard);
	check_books(&w, length, &heard, CLOSE_PEER_CLOSED);
	free(heard.bytes);
	close(fds[0]);
	one_worker_finish(&w);
}

static void
test_every_reply_in_every_framing_is_exact_however_it_is_segmented(void **state)
{
	static const size_t pieces[] = { 1, 7, 300, 10000 };

	(void)state;
	srand(3);
	for (size_t i = 0; i < SPEC_REPLIES; i++) {
		for (int framing = 0; framing_names[framing] != NULL; framing++) {
			for (size_t p = 0; p < 4; p++)
				check_conversation(&spec_replies[i],
				    (enum framing)framing,
				    p % 2 == 0 ? open_unix_pair : open_tcp_pair,
				    pieces[p], 1024 * 1024);
		}
	}
}

/* Reading stops and goes on at every few messages. */
static void
test_every_reply_in_every_framing_is_exact_under_back_pressure(void **state)
{
	static const uint64_t limits[] = { 0, 1, 50, 1024 };

	(void)state;
	srand(4);
	for (size_t i = 0; i < SPEC_REPLIES; i++) {
		for (int framing = 0; framing_names[framing] != NULL; framing++) {
			for (size_t l = 0; l < 4; l++)
				check_conversation(&spec_replies[i],
				    (enum framing)framing,
				    l % 2 == 0 ? open_tcp_pair : open_unix_pair, 20000,
				    limits[l]);
		}
	}
}

static void
test_what_waits_when_the_peer_half_closes_is_still_sent(void **state)
{
	static uint8_t data[INPUT_BYTES];
	size_t length = make_input(data, FRAMING_LINE, MAX_MESSAGE);
	const struct spec_reply *reply = spec_reply("upper,suffix=_SB");
	struct heard heard = { 0 };
	struct one_worker w;
	int fds[2];

	(void)state;
	one_worker_start(&w, reply->text, FRAMING_LINE, MAX_MESSAGE, 1024 * 1024);
	open_unix_pair(fds, 4096);
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &(int){ 1 << 20 }, sizeof(int));
	one_worker_serve(&w, fds[1]);
	assert_int_equal(send(fds[0], data, length, 0), (ssize_t)length);
	assert_int_equal(shutdown(fds[0], SHUT_WR), 0);
	assert_true(one_worker_until(
	    &w, one_worker_count(&w, LEDGER_BYTES_RECEIVED) == length));
	for (int i = 0; i < 10; i++)
		one_worker_turn(&w);
	assert_non_null(w.worker.stuck);
	assert_int_equal(w.worker.pool.count, 1);
	assert_true(one_worker_until(&w, (hear(&heard, fds[0], 3000), heard.is_over)));
	check_answer(&w, reply, data, length, &heard);
	check_books(&w, length, &heard, CLOSE_PEER_CLOSED);
	free(heard.bytes);
	close(fds[0]);
	one_worker_finish(&w);
}

static void
test_a_connection_between_messages_holds_nothing_but_itself(void **state)
{
	struct one_worker w;
	struct heard heard = { 0 };
	int fds[2];

	(void)state;
	one_worker_start(&w, "echo", FRAMING_LINE, MAX_MESSAGE, 1024);
	open_tcp_pair(fds, 0);
	one_worker_serve(&w, fds[1]);
	struct connection *connection = one_worker_connection(&w);
	assert_int_equal(send(fds[0], "one\ntw", 6, 0), 6);
	assert_true(
	    one_worker_until(&w, (hear(&heard, fds[0], 100), heard.length == 4)));
	assert_int_equal(buffer_length(connection->input), 2);
	assert_int_equal(send(fds[0], "o\n", 2, 0), 2);
	assert_true(
	    one_worker_until(&w, (hear(&heard, fds[0], 100), heard.length == 8)));
	assert_memory_equal(heard.bytes, "one\ntwo\n", 8);
	assert_null(connection->input);
	assert_null(connection->output);
	free(heard.bytes);
	close(fds[0]);
	one_worker_finish(&w);
}

static void
test_a_long_reply_leaves_the_worker_no_larger_than_it_was(void **state)
{
	enum { LONG = 1000000 };
	uint8_t *line = malloc(LONG + 1);
	struct one_worker w;
	struct heard heard = { 0 };
	int fds[2];

	(void)state;
	assert_non_null(line);
	memset(line, 'x', LONG);
	line[LONG] = '\n';
	one_worker_start(&w, "upper", FRAMING_LINE, LONG, 1024);
	open_unix_pair(fds, 0);
	one_worker_serve(&w, fds[1]);
	converse(&w, fds[0], line, LONG + 1, LONG, &heard);
	assert_int_equal(heard.length, LONG + 1);
	assert_int_equal(heard.bytes[LONG - 1], 'X');
	assert_int_equal(heard.bytes[LONG], '\n');
	assert_in_range(w.worker.batch_capacity, 1, WORKER_INPUT_BYTES);
	free(heard.bytes);
	free(line);
	close(fds[0]);
	one_worker_finish(&w);
}

/* --- the peer's mistakes ------------------------------------------------------------
 */

static void
check_too_long(enum framing framing, const char *good, size_t good_length,
    const char *bad, size_t bad_length, bool is_tcp)
{
	char more[4096] = "";
	struct heard heard = { 0 };
	struct one_worker w;
	int fds[2];

	one_worker_start(&w, "echo", framing, 10, 1024);
	must(sweep_start(&w.worker) == 0);
	(is_tcp ? open_tcp_pair : open_unix_pair)(fds, 0);
	one_worker_serve(&w, fds[1]);
	assert_int_equal(
	    send(fds[0], good, good_length, MSG_NOSIGNAL), (ssize_t)good_length);
	assert_int_equal(
	    send(fds[0], bad, bad_length, MSG_NOSIGNAL), (ssize_t)bad_length);
	assert_true(one_worker_until(&w, w.worker.lingering == 1));
	/* It goes on talking: no reset may overtake what it was answered. */
	for (int i = 0; i < 100; i++) {
		assert_true(send(fds[0], more, sizeof(more), MSG_NOSIGNAL) > 0);
		one_worker_turn(&w);
	}
	assert_true(one_worker_until(&w, (hear(&heard, fds[0], 100), heard.is_over)));
	assert_int_equal(heard.error, 0);
	assert_int_equal(heard.length, good_length);
	assert_memory_equal(heard.bytes, good, good_length);
	assert_int_equal(w.worker.pool.count, 1);
	close(fds[0]);
	assert_true(one_worker_until(&w, w.worker.pool.count == 0));
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
	must(sweep_start(&w.worker) == 0);
	open_tcp_pair(fds, 0);
	one_worker_serve(&w, fds[1]);
	assert_int_equal(send(fds[0], "0123456789a", 11, 0), 11);
	assert_true(one_worker_until(&w, w.worker.lingering == 1));
	uint64_t since_ms = one_worker_clock_ms();
	assert_true(one_worker_until(&w, w.worker.pool.count == 0));
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

static void
test_a_reset_is_counted_with_what_was_still_owed(void **state)
{
	static uint8_t data[INPUT_BYTES];
	struct linger at_once = { .l_onoff = 1 };
	struct one_worker w;
	int fds[2];

	(void)state;
	one_worker_start(&w, "echo", FRAMING_STREAM, MAX_MESSAGE, 1024 * 1024);
	open_tcp_pair(fds, 4096);
	one_worker_serve(&w, fds[1]);
	size_t said = 0;
	for (int i = 0; i < 1000 &&
	     buffer_length(w.worker.stuck == NULL ? NULL : w.worker.stuck->bytes) <
		 100000;
	     i++) {
		ssize_t n = send(fds[0], data, sizeof(data), MSG_NOSIGNAL);
		said += n > 0 ? (size_t)n : 0;
		one_worker_turn(&w);
	}
	assert_non_null(w.worker.stuck);
	assert_int_equal(
	    setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
	close(fds[0]);
	assert_true(one_worker_until(&w, w.worker.pool.count == 0));
	assert_int_equal(one_worker_closed(&w, CLOSE_RESET), 1);
	assert_true(one_worker_count(&w, LEDGER_BYTES_DROPPED) > 0);
	assert_int_equal(one_worker_count(&w, LEDGER_BYTES_RECEIVED),
	    one_worker_count(&w, LEDGER_BYTES_SENT) +
		one_worker_count(&w, LEDGER_BYTES_DROPPED));
	assert_true(one_worker_count(&w, LEDGER_BYTES_RECEIVED) <= said);
	assert_true(one_worker_adds_up(&w));
	one_worker_finish(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_every_reply_in_every_framing_is_exact_however_it_is_segmented),
		cmocka_unit_test(
		    test_every_reply_in_every_framing_is_exact_under_back_pressure),
		cmocka_unit_test(
		    test_what_waits_when_the_peer_half_closes_is_still_sent),
		cmocka_unit_test(
		    test_a_connection_between_messages_holds_nothing_but_itself),
		cmocka_unit_test(
		    test_a_long_reply_leaves_the_worker_no_larger_than_it_was),
		cmocka_unit_test(
		    test_before_a_message_that_is_too_long_everything_owed_arrives),
		cmocka_unit_test(
		    test_who_lingers_after_a_mistake_is_closed_after_two_seconds),
		cmocka_unit_test(
		    test_half_a_length32_message_is_told_apart_from_an_orderly_end),
		cmocka_unit_test(test_a_reset_is_counted_with_what_was_still_owed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
