/*
 * pressure.h - peers of one_worker.h's server that talk without listening. For cmocka
 * programs.
 */
#ifndef TESTS_PRESSURE_H
#define TESTS_PRESSURE_H

#include "tests/lib/one_worker.h"

#define MS UINT64_C(1000000)
#define MAX_PENDING ((size_t)256 * 1024)

static uint8_t block[64 * 1024];

static inline size_t
stuck_bytes(const struct one_worker *w)
{
	return w->worker.queued_outputs == NULL
	    ? 0
	    : buffer_length(w->worker.queued_outputs->bytes);
}

/* Talks without listening until the server reads no more; returns the bytes that went.
 */
static inline size_t
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

static inline void
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

#endif
