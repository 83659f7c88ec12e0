/*
 * verify.h - every byte that comes back is compared, whatever the segments.
 *
 * A connection's answers are one stream. verify_feed takes what came and stops at the
 * end of each answer. The first byte that differs makes the answer wrong; what the
 * bytes look like (client/verify/diagnosis.h) decides where the stream goes on:
 *
 *   an altered byte, another connection's data   at the same place
 *   a duplicate of message M                     the duplicate is thrown away (surplus)
 *   a gap of N bytes                             behind the gap; what it held is wrong
 *   N bytes inserted, or repeated                behind them (surplus)
 *
 * In framing line and length32 an answer that looks like nothing of this, or shorter or
 * longer than it should be, ends where its own frame ends: the server made it so.
 */
#ifndef CLIENT_VERIFY_VERIFY_H
#define CLIENT_VERIFY_VERIFY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/measure/counters.h"
#include "client/messages/expectation.h"

enum verify_result {
	VERIFY_MORE,  /* the answer is not whole yet */
	VERIFY_RIGHT, /* an answer ended, every byte right */
	VERIFY_WRONG, /* an answer ended, or was never sent */
};

/* The state of one connection. */
struct verify_stream {
	struct cursor cursor;  /* the answer that comes next, or is coming */
	uint32_t skip;         /* bytes to throw away before it goes on */
	uint32_t header;       /* length32: the header as it came */
	uint32_t gap;          /* answers that will never come */
	uint32_t gap_at;       /* bytes passed of the answer behind the gap */
	bool gap_wrong;        /* it is wrong too: the gap goes into it */
	bool wrong;            /* the answer that is coming */
	bool ends_with_frame;  /* ... ends where its frame ends */
	bool skip_ends_answer; /* ... ends when `skip` is through */
};

/* What the connections of a process share. */
struct verify {
	const struct expectation *expectation;
	_Atomic uint32_t *detected; /* struct board: expect */
	struct counters *counters;  /* for mismatches and surplus; NULL: not kept */
	uint32_t connections; /* in all ranks, to look for the owner of strange data */
	uint64_t steps_left;  /* ... which is bounded: see diagnosis.h */
	uint64_t searches;    /* for what wrong bytes look like: bounded, too */
	int fd;            /* of the connection that is looked at, to name its port */
	uint8_t *scratch;  /* as long as the longest message, or a page */
	uint8_t *expected; /* VERIFY_STEP bytes */
};
#define VERIFY_STEP 65536

static inline const struct framing_ops *
verify_framing(const struct verify *verify)
{
	return &framings[verify->expectation->sequence->framing];
}

void verify_init(struct verify *verify, const struct expectation *expectation,
    _Atomic uint32_t *detected, struct counters *counters, uint32_t connections);
void verify_finish(struct verify *verify);

/* Takes data[length] of a connection that has `owed` unanswered messages (at least 1).
 * Returns how many bytes were taken; *ret says how it stands. After RIGHT or WRONG the
 * cursor is at the next answer. May take 0 bytes with WRONG. */
size_t verify_feed(struct verify *verify, uint64_t connection,
    struct verify_stream *stream, uint32_t unanswered, const uint8_t *data,
    size_t length, enum verify_result *ret);

/* Books data[length] that came while nothing was owed. */
void verify_unexpected(struct verify *verify, uint64_t connection,
    struct verify_stream *stream, const uint8_t *data, size_t length);

/* Bytes that have come of the answer that is coming, and *ret_length how many it has.
 */
uint32_t verify_progress(const struct verify *verify, uint64_t connection,
    const struct verify_stream *stream, uint32_t *ret_length);

#endif
