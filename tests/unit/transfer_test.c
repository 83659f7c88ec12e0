#include "tests/lib/transfer_fixture.h"

struct move {
	const char *data;
	size_t at; /* bytes sent before the transfer; if beyond the last: half-closed,
		      too */
	uint64_t max_pending;
	bool has_output; /* replies are queued by then */
};

/* Sends the bytes before the transfer, and reads no more replies than needed. */
static void
send_first(struct fixture *f, const struct move *c, size_t length, int fd,
    struct received *received)
{
	for (size_t sent = 0; sent < length;) {
		ssize_t n = send(fd, c->data + sent, length - sent, MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		worker_fixture_run_once(&f->sender);
		if (n < 0)
			receive_some(received, fd, 100);
	}
	if (c->at > length)
		shutdown(fd, SHUT_WR);
	for (int i = 0; i < 5; i++)
		worker_fixture_run_once(&f->sender);
}

/* The connection is transferred in the middle of a conversation. */
static void
check_move(const struct spec_reply *reply, const struct move *c)
{
	const char *data = c->data;
	size_t length = strlen(data), before = c->at < length ? c->at : length;
	struct received received = { 0 };
	struct fixture f;
	int fds[2];

	start(&f, reply->text, FRAMING_LINE, c->max_pending);
	open_unix_pair(fds, 4608);
	worker_fixture_serve(&f.sender, fds[1]);
	send_first(&f, c, before, fds[0], &received);
	if (c->has_output && reply->keeps_payload)
		assert_false(LIST_EMPTY(&f.sender.worker.queued_outputs));
	transfer_all(&f);
	for (size_t sent = before; !received.is_over;) {
		ssize_t n = send(fds[0], data + sent, length - sent, MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		if (sent == length)
			shutdown(fds[0], SHUT_WR);
		run_both_once(&f);
		receive_some(&received, fds[0], 500);
	}
	run_both_once(&f);
	struct spec_answer expected = spec_answer(
	    reply, FRAMING_LINE, MAX_MESSAGE, (const uint8_t *)data, length);
	assert_int_equal(received.length, expected.length);
	if (expected.length > 0)
		assert_memory_equal(received.bytes, expected.bytes, expected.length);
	assert_int_equal(count(&f, LEDGER_BYTES_RECEIVED), length);
	assert_int_equal(count(&f, LEDGER_BYTES_SENT), received.length);
	assert_int_equal(count(&f, LEDGER_MESSAGES_RECEIVED), expected.messages);
	if (!reply->is_discard)
		assert_int_equal(count(&f, LEDGER_REPLIES_SENT), expected.messages);
	assert_int_equal(worker_fixture_closed(&f.sender, CLOSE_PEER_CLOSED) +
		worker_fixture_closed(&f.receiver, CLOSE_PEER_CLOSED),
	    1);
	free(expected.bytes);
	free(received.bytes);
	close(fds[0]);
	finish(&f);
}

static void
test_transfers_a_connection_at_any_byte_without_visible_effect(void **state)
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
test_transfers_queued_replies(void **state)
{
	enum { LINES = 2000, LINE_BYTES = 20, ALL = LINES * LINE_BYTES };
	static const size_t offsets[] = { 25000, 25001, ALL - 1, ALL, ALL + 1 };
	static char data[ALL + 1];
	struct move c = { .data = data, .has_output = true };

	(void)state;
	for (int i = 0; i < LINES; i++)
		snprintf(data + i * LINE_BYTES, LINE_BYTES + 1, "line %014d\n", i);
	for (size_t r = 0; r < SPEC_REPLIES; r++) {
		for (size_t p = 0; p < sizeof(offsets) / sizeof(offsets[0]); p++) {
			c.at = offsets[p];
			/* With reading paused, and with everything read. */
			c.max_pending = 1024;
			check_move(&spec_replies[r], &c);
			c.max_pending = 1 << 20;
			check_move(&spec_replies[r], &c);
		}
	}
}

static void
test_transfers_a_connection_that_lingers_after_an_error(void **state)
{
	enum { GOOD = 1000 };
	static char data[GOOD * 20 + MAX_MESSAGE + 2];
	struct move c = { .data = data };
	struct received received = { 0 };
	struct fixture f;
	int fds[2];

	(void)state;
	for (int i = 0; i < GOOD; i++)
		snprintf(data + i * 20, 21, "line %014d\n", i);
	memset(data + GOOD * 20, 'x', MAX_MESSAGE + 1);
	start(&f, "echo", FRAMING_LINE, 1 << 20);
	open_unix_pair(fds, 4608);
	worker_fixture_serve(&f.sender, fds[1]);
	send_first(&f, &c, sizeof(data) - 1, fds[0], &received);
	assert_false(LIST_EMPTY(&f.sender.worker.queued_outputs));
	transfer_all(&f);
	assert_int_equal(f.receiver.worker.connections.count, 1);
	for (int i = 0; i < 100000 && !received.is_over; i++) {
		run_both_once(&f);
		receive_some(&received, fds[0], 500);
	}
	assert_int_equal(received.length, GOOD * 20);
	assert_memory_equal(received.bytes, data, received.length);
	assert_int_equal(f.receiver.worker.lingering_count, 1);
	close(fds[0]);
	run_both_once(&f);
	assert_int_equal(worker_fixture_closed(&f.receiver, CLOSE_MESSAGE_TOO_LONG), 1);
	assert_int_equal(count(&f, LEDGER_REPLIES_SENT), GOOD);
	free(received.bytes);
	finish(&f);
}

/* Lets the peer send the rest and read all replies. */
static void
send_and_receive_the_rest(struct fixture *f, int fd, const char *data, size_t length,
    size_t sent, struct received *received)
{
	uint64_t end_ms = worker_fixture_clock_ms() + 10000;

	while (!received->is_over && worker_fixture_clock_ms() < end_ms) {
		ssize_t n = send(fd, data + sent, length - sent, MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		if (sent == length)
			shutdown(fd, SHUT_WR);
		run_both_once(f);
		receive_some(received, fd, 500);
	}
	assert_true(received->is_over);
}

/* A reload may change limits.max_pending. */
static void
test_transfers_a_connection_over_the_receiver_output_limit(void **state)
{
	enum { LINES = 2000, LINE_BYTES = 20, ALL = LINES * LINE_BYTES };
	static char data[ALL + 1];
	struct move c = { .data = data };
	struct received received = { 0 };
	struct fixture f;
	int fds[2];

	(void)state;
	for (int i = 0; i < LINES; i++)
		snprintf(data + i * LINE_BYTES, LINE_BYTES + 1, "line %014d\n", i);
	start(&f, "upper", FRAMING_LINE, 1 << 20);
	f.receiver.config.limits.max_pending = 1024;
	open_unix_pair(fds, 4608);
	worker_fixture_serve(&f.sender, fds[1]);
	send_first(&f, &c, ALL - 500, fds[0], &received);
	assert_true(
	    buffer_length(LIST_FIRST(&f.sender.worker.queued_outputs)->bytes) > 2048);
	transfer_all(&f);
	/* The receiver reads no more before half of it is sent. */
	size_t queued =
	    buffer_length(LIST_FIRST(&f.receiver.worker.queued_outputs)->bytes);
	assert_int_equal(send(fds[0], data + ALL - 500, 490, 0), 490);
	for (int i = 0; i < 5; i++)
		run_both_once(&f);
	assert_int_equal(count(&f, LEDGER_BYTES_RECEIVED), ALL - 500);
	assert_true(
	    buffer_length(LIST_FIRST(&f.receiver.worker.queued_outputs)->bytes) <=
	    queued);
	send_and_receive_the_rest(&f, fds[0], data, ALL, ALL - 10, &received);
	run_both_once(&f);
	assert_int_equal(received.length, ALL);
	assert_int_equal(count(&f, LEDGER_REPLIES_SENT), LINES);
	free(received.bytes);
	close(fds[0]);
	finish(&f);
}

static void
test_transfers_all_connections_and_counts_them_on_both_sides(void **state)
{
	int fds[MANY][2];
	struct fixture f;
	char answer[8];

	(void)state;
	start(&f, "upper", FRAMING_STREAM, 1024);
	for (int i = 0; i < MANY; i++) {
		open_unix_pair(fds[i], 0);
		worker_fixture_serve(&f.sender, fds[i][1]);
	}
	transfer_all(&f);
	assert_int_equal(f.sender.worker.connections.count, 0);
	assert_int_equal(f.receiver.worker.connections.count, MANY);
	assert_int_equal(
	    worker_fixture_count(&f.sender, LEDGER_CONNECTIONS_MOVED_OUT), MANY);
	assert_int_equal(
	    worker_fixture_count(&f.receiver, LEDGER_CONNECTIONS_MOVED_IN), MANY);
	assert_master_received(f.sender_channel, CHANNEL_SENT, 7, MANY);
	assert_master_received(f.receiver_channel, CHANNEL_RECEIVED, 8, MANY);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(send(fds[i][0], "hello", 5, 0), 5);
	for (int i = 0; i < 50; i++)
		run_both_once(&f);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(recv(fds[i][0], answer, 8, 0), 5);
		assert_memory_equal(answer, "HELLO", 5);
		close(fds[i][0]);
	}
	finish(&f);
}

/* By the gauges of both workers, as ledger_open_now() reads them from one ledger. */
static uint64_t
open_now(const struct fixture *f)
{
	const struct ledger_block *blocks[] = { &f->sender.worker.worker_ledger->own,
		&f->receiver.worker.worker_ledger->own };
	struct address_usage_sum sum = { 0 };

	for (int i = 0; i < 2; i++) {
		sum.connections += atomic_load(&blocks[i]->open);
		sum.leaving += atomic_load(&blocks[i]->leaving);
		sum.arriving += atomic_load(&blocks[i]->arriving);
	}
	return address_usage_open(&sum);
}

/* Otherwise limits would count it twice, or not at all. */
static void
test_counts_a_connection_once_at_each_moment_of_a_transfer(void **state)
{
	struct fixture f;
	int fds[2], transfer[2];

	(void)state;
	start(&f, "upper", FRAMING_STREAM, 1024);
	open_unix_pair(fds, 0);
	worker_fixture_serve(&f.sender, fds[1]);
	assert_int_equal(open_now(&f), 1);
	must(channel_open(transfer) == 0);
	transfer_send_start(&f.sender.worker, transfer[0], 7, 0);
	transfer_receive_start(&f.receiver.worker, transfer[1], 8);
	for (int i = 0; i < 1000 && !LIST_EMPTY(&f.receiver.worker.transfers.receivers);
	     i++) {
		worker_fixture_run_once(i % 2 == 0 ? &f.sender : &f.receiver);
		assert_int_equal(open_now(&f), 1);
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
		    test_transfers_a_connection_at_any_byte_without_visible_effect),
		cmocka_unit_test(test_transfers_queued_replies),
		cmocka_unit_test(
		    test_transfers_a_connection_that_lingers_after_an_error),
		cmocka_unit_test(
		    test_transfers_a_connection_over_the_receiver_output_limit),
		cmocka_unit_test(
		    test_counts_a_connection_once_at_each_moment_of_a_transfer),
		cmocka_unit_test(
		    test_transfers_all_connections_and_counts_them_on_both_sides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
