/*
 * verify.h - compares every received byte with the expected one, in any segmentation.
 *
 * The answers of a connection are one stream. verify_feed takes data up to the end of
 * the next answer. The first byte that differs makes the answer wrong; the diagnosis
 * (client/verify/diagnosis.h) decides where verification continues:
 *
 *   an altered byte, another connection's data   at the same place
 *   a duplicate of message M                     after the duplicate (unexpected bytes)
 *   a gap of N bytes                             after the gap; its messages are wrong
 *   N bytes inserted, or repeated                after them (unexpected bytes)
 *
 * In framings with boundaries an answer that fits none of these, or that is shorter or
 * longer than expected, ends where its own frame ends.
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
	VERIFY_MORE,  /* the answer is not complete yet */
	VERIFY_RIGHT, /* an answer ended, every byte correct */
	VERIFY_WRONG, /* an answer ended, or was left out by the peer */
};

/* The state of one connection. */
struct verify_stream {
	struct cursor cursor;  /* the present answer, or the next one */
	uint32_t skip;         /* bytes to discard first */
	uint32_t header;       /* framing header as received */
	uint32_t gap;          /* answers that will never come */
	uint32_t gap_at;       /* position in the answer after the gap */
	bool gap_wrong;        /* the gap reaches into that answer */
	bool wrong;            /* the present answer */
	bool ends_with_frame;  /* it ends where its frame ends */
	bool skip_ends_answer; /* it ends after `skip` */
};

/* Data received on a connection, and the state of that connection. */
struct verify_input {
	uint64_t connection;
	struct verify_stream *stream;
	uint32_t unanswered; /* messages sent and not answered */
	const uint8_t *data;
	size_t length;
};

/* Shared by the connections of a process. */
struct verify {
	const struct expectation *expectation;
	_Atomic uint32_t *detected; /* struct control_block: expect */
	struct counters
	    *counters;        /* for mismatches and unexpected bytes; may be NULL */
	uint32_t connections; /* in all ranks: candidates for misdirected data */
	uint64_t steps_left;  /* limits the search among them (diagnosis.h) */
	uint64_t searches;    /* diagnoses made: limited, too */
	int fd;               /* of the present connection, for its address */
	uint8_t *scratch;     /* as long as the longest message, or a page */
	uint8_t *expected;    /* VERIFY_STEP bytes */
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

/* Takes data from the start of the input, up to the end of an answer; at least one
 * message is unanswered. After RIGHT or WRONG the cursor is at the next answer. With
 * WRONG it may take no data. */
enum verify_result verify_feed(struct verify *verify, struct verify_input *in);

/* Counts data that arrived while no answer was expected. */
void verify_unexpected(struct verify *verify, const struct verify_input *in);

/* Bytes received of the present answer; *ret_length: its expected length. */
uint32_t verify_progress(const struct verify *verify, uint64_t connection,
    const struct verify_stream *stream, uint32_t *ret_length);

#endif
