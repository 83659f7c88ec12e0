/*
 * verify.h - compares every received byte with the expected one, and counts the damaged
 * answers.
 *
 * The answers of a connection are one stream. How many of them are damaged is a
 * property of the bytes, whatever the segmentation, the sizes of reads and the framing:
 *
 *   wrong   a byte of the answer is missing, another byte came instead, or other bytes
 *           were inserted into it; an answer in whose place another one came, and an
 *           answer of which nothing came although later ones did, are wrong, too
 *   lost    nothing came after it, and not all of it came
 *   extra   bytes between two answers make neither of them wrong
 *           (counters: bytes_unexpected)
 *
 * At the first wrong byte the connection starts to hold what it receives
 * (client/verify/held.h) until it is known where the stream goes on:
 *
 *      intact --wrong byte--> damaged --resync_find--> found --damage_judge--> resuming
 *        ^                                                                        |
 *        +------------------------------------------------------------------------+
 *
 * The damage is what lies between; the smallest one counts, and of equal ones the one
 * that damages the fewest answers. Fewer than 8 bytes of payload (16 of a text) between
 * two damages are not recognised as intact, except between altered bytes. The decision
 * is made when the bytes are there that it depends on, or when nothing more will come
 * (verify_end), or when HELD_BYTES_MAX bytes were received in vain: then as many bytes
 * as came are taken as altered.
 *
 * Meanwhile the messages whose answers seem to have arrived are `released`: the client
 * need not wait for them before it sends others.
 */
#ifndef CLIENT_VERIFY_VERIFY_H
#define CLIENT_VERIFY_VERIFY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/measure/counters.h"
#include "client/messages/expectation.h"
#include "client/verify/held.h"
#include "client/verify/resync.h"

enum verify_result {
	VERIFY_MORE,  /* all data is taken; no verdict */
	VERIFY_RIGHT, /* an answer ended, every byte correct */
	VERIFY_WRONG, /* an answer ended, or was left out by the peer */
};

/* The state of one connection. Zero but for the cursor at first; verify_stream_finish
 * at the end. */
struct verify_stream {
	struct cursor cursor;  /* the present answer, or the next one */
	struct held *held;     /* NULL: no damage; heap, owned */
	uint64_t displaced;    /* 1 + the message in whose place a later answer came */
	uint64_t first_offset; /* payload bytes before the connection's first message */
	uint32_t surplus;      /* duplicates: answers that more messages may wait for */
	bool wrong;            /* the present answer */
};

/* Data received on a connection, and the state of that connection. */
struct verify_input {
	uint64_t connection;
	struct verify_stream *stream;
	uint32_t unanswered; /* messages sent and without verdict */
	const uint8_t *data;
	size_t length;
	uint64_t now_ns;
	uint64_t answered_ns; /* set by the caller to now_ns; when an answer that was
				 held arrived */
};

/* Shared by the connections of a process. */
struct verify {
	const struct expectation *expectation;
	_Atomic uint32_t *detected; /* struct control_block: expect */
	struct counters
	    *counters;        /* for mismatches and unexpected bytes; may be NULL */
	uint32_t connections; /* in all ranks: candidates for misdirected data */
	uint64_t search_left; /* limits the search among them */
	struct resync resync;
	struct held_budget budget;
	int fd;                /* of the present connection, for its address */
	uint64_t sent;         /* messages, on it: since a reconnect */
	uint64_t connected_ns; /* when it began to connect */
	uint8_t *scratch;      /* as long as the longest message, or a page */
	uint8_t *expected;     /* VERIFY_STEP bytes */
};
#define VERIFY_STEP 65536

void verify_init(struct verify *verify, const struct expectation *expectation,
    _Atomic uint32_t *detected, struct counters *counters, uint32_t connections);
void verify_finish(struct verify *verify);

/* Takes data from the start of the input, at least up to the end of an answer. Called
 * again after each verdict, with the data that is left, until MORE. After a verdict the
 * cursor is at the next answer. */
enum verify_result verify_feed(struct verify *verify, struct verify_input *in);

/* Takes right answers from the start of the input, many at once, where sequence.h
 * allows that; the number of those that are complete. What is left, verify_feed()
 * takes. */
uint32_t verify_run(struct verify *verify, struct verify_input *in);

/* Nothing more will arrive: decides with what there is. Called until MORE; then
 * messages without verdict have no complete answer. */
enum verify_result verify_end(struct verify *verify, struct verify_input *in);

void verify_stream_finish(struct verify *verify, struct verify_stream *stream);

/* Number of messages without verdict that the client need not wait for. */
static inline uint32_t
verify_released(const struct verify_stream *stream)
{
	return stream->surplus + (stream->held != NULL ? stream->held->released : 0);
}

/* Bytes of the correct answers of the stream's connection, from its first message
 * `first` on, up to the cursor. */
uint64_t verify_offset(const struct expectation *expectation,
    const struct verify_stream *stream, uint64_t first, const struct cursor *cursor);

/* Bytes received of the present answer; *ret_length: its expected length. */
uint32_t verify_progress(const struct verify *verify, uint64_t connection,
    const struct verify_stream *stream, uint32_t *ret_length);

#endif
