/*
 * backpressure_fixture.h - peers of worker_fixture.h that send without reading. For
 * cmocka programs.
 */
#ifndef TESTS_BACKPRESSURE_FIXTURE_H
#define TESTS_BACKPRESSURE_FIXTURE_H

#include "tests/lib/worker_fixture.h"

#define MS UINT64_C(1000000)
#define MAX_PENDING ((size_t)256 * 1024)

static uint8_t block[64 * 1024];

static inline size_t
queued_output_bytes(const struct worker_fixture *w)
{
	return LIST_EMPTY(&w->worker.queued_outputs)
	    ? 0
	    : buffer_length(LIST_FIRST(&w->worker.queued_outputs)->bytes);
}

/* Sends without reading until the worker reads no more; returns the bytes sent, and the
 * most that was queued in *ret_most. */
static inline size_t
send_until_blocked(struct worker_fixture *w, int fd, size_t *ret_most)
{
	size_t sent = 0, most = 0;

	for (int quiet = 0; quiet < 200;) {
		uint64_t before = worker_fixture_progress(w);
		ssize_t n = send(fd, block, sizeof(block), MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		worker_fixture_run_once(w);
		if (queued_output_bytes(w) > most)
			most = queued_output_bytes(w);
		quiet = n > 0 || worker_fixture_progress(w) != before ? 0 : quiet + 1;
	}
	if (ret_most != NULL)
		*ret_most = most;
	return sent;
}

static inline void
receive_exactly(int fd, size_t bytes, struct worker_fixture *w)
{
	static uint8_t received[64 * 1024];

	for (int idle = 0; bytes > 0 && idle < 10000;) {
		ssize_t n = recv(fd, received,
		    bytes < sizeof(received) ? bytes : sizeof(received), 0);
		if (n > 0)
			bytes -= (size_t)n;
		idle = n > 0 ? 0 : idle + 1;
		worker_fixture_run_once(w);
	}
	assert_int_equal(bytes, 0);
}

#endif
