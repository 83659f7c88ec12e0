/*
 * peer_fixture.h - a peer of worker_fixture.h that sends data in pieces and collects
 * the replies. For cmocka programs.
 */
#ifndef TESTS_PEER_FIXTURE_H
#define TESTS_PEER_FIXTURE_H

#include "lib/xmalloc.h"
#include "tests/lib/worker_fixture.h"

/* Bytes that the peer has read. */
struct received {
	uint8_t *bytes;
	size_t length;
	bool is_over;
	int error;
};

static inline void
receive_some(struct received *received, int fd, size_t most)
{
	uint8_t data[4096];

	while (most > 0 && !received->is_over) {
		size_t size = most < sizeof(data) ? most : sizeof(data);
		ssize_t n = recv(fd, data, size, 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			received->is_over = true;
			received->error = n < 0 ? errno : 0;
			return;
		}
		received->bytes =
		    xreallocarray(received->bytes, received->length + (size_t)n, 1);
		memcpy(received->bytes + received->length, data, (size_t)n);
		received->length += (size_t)n;
		most -= (size_t)n;
	}
}

/* Sends data[length] in pieces of random length, half-closes, and reads to the end. */
static inline void
send_all_and_receive(struct worker_fixture *w, int fd, const uint8_t *data,
    size_t length, size_t piece_max, struct received *received)
{
	uint64_t end_ms = worker_fixture_clock_ms() + 10000;
	size_t sent = 0;
	bool has_shut = false;

	while (!received->is_over && worker_fixture_clock_ms() < end_ms) {
		size_t piece = 1 + (size_t)rand() % piece_max;
		if (piece > length - sent)
			piece = length - sent;
		ssize_t n = piece == 0 ? 0 : send(fd, data + sent, piece, MSG_NOSIGNAL);
		if (n > 0)
			sent += (size_t)n;
		else if (n < 0 && errno != EAGAIN)
			sent = length; /* the server has closed */
		if (sent == length && !has_shut) {
			shutdown(fd, SHUT_WR);
			has_shut = true;
		}
		worker_fixture_run_once(w);
		if (has_shut || rand() % 4 == 0)
			receive_some(received, fd, 1 + (size_t)rand() % 5000);
	}
	assert_true(received->is_over);
	assert_int_equal(received->error, 0);
	worker_fixture_run_once(w);
}

static inline void
check_ledger(struct worker_fixture *w, size_t length, const struct received *received,
    enum close_reason reason)
{
	uint64_t messages = worker_fixture_count(w, LEDGER_MESSAGES_RECEIVED);

	assert_true(worker_fixture_is_balanced(w));
	assert_int_equal(worker_fixture_closed(w, reason), 1);
	assert_int_equal(worker_fixture_count(w, LEDGER_BYTES_RECEIVED), length);
	assert_int_equal(worker_fixture_count(w, LEDGER_BYTES_SENT), received->length);
	assert_int_equal(worker_fixture_count(w, LEDGER_BYTES_DROPPED), 0);
	if (received->length > 0)
		assert_int_equal(
		    worker_fixture_count(w, LEDGER_REPLIES_SENT), messages);
}

#endif
