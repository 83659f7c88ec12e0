#include "tests/lib/two_workers.h"

struct move {
	const char *data;
	size_t at; /* when so many bytes are said; beyond the last: half-closed too */
	uint64_t max_pending;
	bool waits; /* replies wait by then */
};

/* Says what comes before the move, and hears no more of it than it must. */
static void
say_first(
    struct fixture *f, const struct move *c, size_t length, int fd, struct heard *heard)
{
	for (size_t said = 0; said < length;) {
		ssize_t n = send(fd, c->data + said, length - said, MSG_NOSIGNAL);
		said += n > 0 ? (size_t)n : 0;
		one_worker_turn(&f->sender);
		if (n < 0)
			hear(heard, fd, 100);
	}
	if (c->at > length)
		shutdown(fd, SHUT_WR);
	for (int i = 0; i < 5; i++)
		one_worker_turn(&f->sender);
}

/* One conversation, during which the connection moves. */
static void
check_move(const struct spec_reply *reply, const struct move *c)
{
	const char *data = c->data;
	size_t length = strlen(data), before = c->at < length ? c->at : length;
	struct heard heard = { 0 };
	struct fixture f;
	int fds[2];

	start(&f, reply->text, FRAMING_LINE, c->max_pending);
	open_unix_pair(fds, 4608);
	one_worker_serve(&f.sender, fds[1]);
	say_first(&f, c, before, fds[0], &heard);
	if (c->waits && reply->keeps_payload)
		assert_non_null(f.sender.worker.queued_outputs);
	hand_over(&f);
	for (size_t said = before; !heard.is_over;) {
		ssize_t n = send(fds[0], data + said, length - said, MSG_NOSIGNAL);
		said += n > 0 ? (size_t)n : 0;
		if (said == length)
			shutdown(fds[0], SHUT_WR);
		turn_both(&f);
		hear(&heard, fds[0], 500);
	}
	turn_both(&f);
	struct spec_answer wanted = spec_answer(
	    reply, FRAMING_LINE, MAX_MESSAGE, (const uint8_t *)data, length);
	assert_int_equal(heard.length, wanted.length);
	if (wanted.length > 0)
		assert_memory_equal(heard.bytes, wanted.bytes, wanted.length);
	assert_int_equal(count(&f, LEDGER_BYTES_RECEIVED), length);
	assert_int_equal(count(&f, LEDGER_BYTES_SENT), heard.length);
	assert_int_equal(count(&f, LEDGER_MESSAGES_RECEIVED), wanted.messages);
	if (!reply->is_discard)
		assert_int_equal(count(&f, LEDGER_REPLIES_SENT), wanted.messages);
	assert_int_equal(one_worker_closed(&f.sender, CLOSE_PEER_CLOSED) +
		one_worker_closed(&f.receiver, CLOSE_PEER_CLOSED),
	    1);
	free(wanted.bytes);
	free(heard.bytes);
	close(fds[0]);
	finish(&f);
}

static void
test_a_connection_moves_at_any_byte_and_its_peer_notices_nothing(void **state)
{
	struct move c = { .data = "one\ntwo\n\nfour is longer\nfive",
		.max_pending = 1024 };

	(void)state;
	for (size_t r = 0; r < SPEC_REPLIES; r++) {
		for (c.at = 0; c.at <= strlen(c.data) + 1; c.at++)
			check_move(&spec_replies[r], &c);
	}
}

static void
test_a_connection_moves_with_the_replies_that_wait_for_its_peer(void **state)
{
	enum { LINES = 2000, LINE_BYTES = 20, ALL = LINES * LINE_BYTES };
	static const size_t places[] = { 25000, 25001, ALL - 1, ALL, ALL + 1 };
	static char data[ALL + 1];
	struct move c = { .data = data, .waits = true };

	(void)state;
	for (int i = 0; i < LINES; i++)
		snprintf(data + i * LINE_BYTES, LINE_BYTES + 1, "line %014d\n", i);
	for (size_t r = 0; r < SPEC_REPLIES; r++) {
		for (size_t p = 0; p < sizeof(places) / sizeof(places[0]); p++) {
			c.at = places[p];
			/* Reading has stopped, or has gone to the end. */
			c.max_pending = 1024;
			check_move(&spec_replies[r], &c);
			c.max_pending = 1 << 20;
			check_move(&spec_replies[r], &c);
		}
	}
}

static void
test_a_connection_on_its_way_out_after_a_mistake_ends_over_there_as_it_would_here(
    void **state)
{
	enum { GOOD = 1000 };
	static char data[GOOD * 20 + MAX_MESSAGE + 2];
	struct move c = { .data = data };
	struct heard heard = { 0 };
	struct fixture f;
	int fds[2];

	(void)state;
	for (int i = 0; i < GOOD; i++)
		snprintf(data + i * 20, 21, "line %014d\n", i);
	memset(data + GOOD * 20, 'x', MAX_MESSAGE + 1);
	start(&f, "echo", FRAMING_LINE, 1 << 20);
	open_unix_pair(fds, 4608);
	one_worker_serve(&f.sender, fds[1]);
	say_first(&f, &c, sizeof(data) - 1, fds[0], &heard);
	assert_non_null(f.sender.worker.queued_outputs);
	hand_over(&f);
	assert_int_equal(f.receiver.worker.connection_pool.count, 1);
	for (int i = 0; i < 100000 && !heard.is_over; i++) {
		turn_both(&f);
		hear(&heard, fds[0], 500);
	}
	assert_int_equal(heard.length, GOOD * 20);
	assert_memory_equal(heard.bytes, data, heard.length);
	assert_int_equal(f.receiver.worker.lingering, 1);
	close(fds[0]);
	turn_both(&f);
	assert_int_equal(one_worker_closed(&f.receiver, CLOSE_MESSAGE_TOO_LONG), 1);
	assert_int_equal(count(&f, LEDGER_REPLIES_SENT), GOOD);
	free(heard.bytes);
	finish(&f);
}

/* Lets the peer say everything, then hear everything. */
static void
say_and_hear_the_rest(struct fixture *f, int fd, const char *data, size_t length,
    size_t said, struct heard *heard)
{
	uint64_t end_ms = one_worker_clock_ms() + 10000;

	while (!heard->is_over && one_worker_clock_ms() < end_ms) {
		ssize_t n = send(fd, data + said, length - said, MSG_NOSIGNAL);
		said += n > 0 ? (size_t)n : 0;
		if (said == length)
			shutdown(fd, SHUT_WR);
		turn_both(f);
		hear(heard, fd, 500);
	}
	assert_true(heard->is_over);
}

/* A reload may change limits.max_pending. */
static void
test_a_connection_that_owes_more_than_it_may_over_there_is_answered_to_the_end(
    void **state)
{
	enum { LINES = 2000, LINE_BYTES = 20, ALL = LINES * LINE_BYTES };
	static char data[ALL + 1];
	struct move c = { .data = data };
	struct heard heard = { 0 };
	struct fixture f;
	int fds[2];

	(void)state;
	for (int i = 0; i < LINES; i++)
		snprintf(data + i * LINE_BYTES, LINE_BYTES + 1, "line %014d\n", i);
	start(&f, "upper", FRAMING_LINE, 1 << 20);
	f.receiver.config.limits.max_pending = 1024;
	open_unix_pair(fds, 4608);
	one_worker_serve(&f.sender, fds[1]);
	say_first(&f, &c, ALL - 500, fds[0], &heard);
	assert_true(buffer_length(f.sender.worker.queued_outputs->bytes) > 2048);
	hand_over(&f);
	/* It reads no more before the half of that is gone. */
	size_t owed = buffer_length(f.receiver.worker.queued_outputs->bytes);
	assert_int_equal(send(fds[0], data + ALL - 500, 490, 0), 490);
	for (int i = 0; i < 5; i++)
		turn_both(&f);
	assert_int_equal(count(&f, LEDGER_BYTES_RECEIVED), ALL - 500);
	assert_true(buffer_length(f.receiver.worker.queued_outputs->bytes) <= owed);
	say_and_hear_the_rest(&f, fds[0], data, ALL, ALL - 10, &heard);
	turn_both(&f);
	assert_int_equal(heard.length, ALL);
	assert_int_equal(count(&f, LEDGER_REPLIES_SENT), LINES);
	free(heard.bytes);
	close(fds[0]);
	finish(&f);
}

static void
test_all_connections_move_and_are_booked_on_both_sides(void **state)
{
	int fds[MANY][2];
	struct fixture f;
	char answer[8];

	(void)state;
	start(&f, "upper", FRAMING_STREAM, 1024);
	for (int i = 0; i < MANY; i++) {
		open_unix_pair(fds[i], 0);
		one_worker_serve(&f.sender, fds[i][1]);
	}
	hand_over(&f);
	assert_int_equal(f.sender.worker.connection_pool.count, 0);
	assert_int_equal(f.receiver.worker.connection_pool.count, MANY);
	assert_int_equal(
	    one_worker_count(&f.sender, LEDGER_CONNECTIONS_MOVED_OUT), MANY);
	assert_int_equal(
	    one_worker_count(&f.receiver, LEDGER_CONNECTIONS_MOVED_IN), MANY);
	assert_told(f.giver_channel, CHANNEL_SENT, 7, MANY);
	assert_told(f.taker_channel, CHANNEL_RECEIVED, 8, MANY);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(send(fds[i][0], "hello", 5, 0), 5);
	for (int i = 0; i < 50; i++)
		turn_both(&f);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(recv(fds[i][0], answer, 8, 0), 5);
		assert_memory_equal(answer, "HELLO", 5);
		close(fds[i][0]);
	}
	finish(&f);
}

static uint64_t
open_now(const struct fixture *f)
{
	return ledger_open_now(f->sender.ledger) + ledger_open_now(f->receiver.ledger);
}

/* Or limits.max_connections would keep others out. */
static void
test_a_connection_on_its_way_is_never_counted_in_both_workers(void **state)
{
	struct fixture f;
	int fds[2], handover[2];

	(void)state;
	start(&f, "upper", FRAMING_STREAM, 1024);
	open_unix_pair(fds, 0);
	one_worker_serve(&f.sender, fds[1]);
	assert_int_equal(open_now(&f), 1);
	must(channel_open(handover) == 0);
	transfer_send_start(&f.sender.worker, handover[0], 7, 0);
	transfer_receive_start(&f.receiver.worker, handover[1], 8);
	for (int i = 0; i < 1000 && f.receiver.worker.receivers != NULL; i++) {
		one_worker_turn(i % 2 == 0 ? &f.sender : &f.receiver);
		assert_in_range(open_now(&f), 0, 1);
	}
	assert_int_equal(ledger_open_now(f.receiver.ledger), 1);
	close(fds[0]);
	finish(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_a_connection_moves_at_any_byte_and_its_peer_notices_nothing),
		cmocka_unit_test(
		    test_a_connection_moves_with_the_replies_that_wait_for_its_peer),
		cmocka_unit_test(
		    test_a_connection_on_its_way_out_after_a_mistake_ends_over_there_as_it_would_here),
		cmocka_unit_test(
		    test_a_connection_that_owes_more_than_it_may_over_there_is_answered_to_the_end),
		cmocka_unit_test(
		    test_a_connection_on_its_way_is_never_counted_in_both_workers),
		cmocka_unit_test(
		    test_all_connections_move_and_are_booked_on_both_sides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
