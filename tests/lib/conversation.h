/*
 * conversation.h - what a peer says to one_worker.h's server, in pieces, and what it
 * hears. For cmocka programs.
 */
#ifndef TESTS_CONVERSATION_H
#define TESTS_CONVERSATION_H

#include "tests/lib/one_worker.h"

/* What the peer has read. */
struct heard {
	uint8_t *bytes;
	size_t length;
	bool is_over;
	int error;
};

static inline void
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
static inline void
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

static inline void
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

#endif
