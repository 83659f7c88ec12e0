/*
 * expectation.h - the expected answer to message i of connection c.
 *
 * Derived from the sequence of messages, by the grammar of proto/reply.h:
 *
 *   [ header ][ payload, perhaps in upper case ][ suffix or fixed text ][ trailer ]
 *
 * With --expect auto, echo and upper are candidates until an answer decides.
 */
#ifndef CLIENT_MESSAGES_EXPECTATION_H
#define CLIENT_MESSAGES_EXPECTATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/reply.h"
#include "client/messages/sequence.h"
#include "client/plan/plan.h"

struct expectation {
	const struct sequence *sequence;
	const struct reply *reply; /* NULL: auto */
	bool none;                 /* no answer is expected */
	uint8_t **wires;           /* as in the sequence; NULL if they vary */
};

void expectation_open(
    const struct plan *plan, const struct sequence *sequence, struct expectation *ret);
void expectation_close(struct expectation *expectation);

/* Bytes of an answer on the wire. */
uint32_t expectation_length(
    const struct expectation *expectation, uint64_t connection, uint64_t message);

/* Up to *length bytes from cursor->at of the answer at the cursor, for the reply
 * `kind`. Returns where they are (in the expectation or in out, which has room for
 * *length) and sets *length to their number. `scratch` has room for the longest
 * message. */
const uint8_t *expectation_wire(const struct expectation *expectation,
    enum reply_kind kind, uint64_t connection, const struct cursor *cursor,
    size_t *length, uint8_t *scratch, uint8_t *out);

/* Reads the answers of a connection one after the other, as one stream. */
struct expectation_reader {
	const struct expectation *expectation;
	enum reply_kind kind;
	uint64_t connection;
	struct cursor cursor; /* the next byte; moves */
	uint64_t end;         /* reads only the answers before this message */
	uint8_t *scratch;     /* room for the longest message */
};

/* Reads up to `length` bytes. Returns their number: fewer only at the end. */
size_t expectation_read(struct expectation_reader *reader, uint8_t *out, size_t length);

/* Moves the reader `bytes` forwards, or up to its end; cheaper than reading. Returns
 * the number of bytes. */
uint64_t expectation_skip(struct expectation_reader *reader, uint64_t bytes);

/* Bytes of all answers before the one at the cursor. */
uint64_t expectation_offset(
    const struct expectation *expectation, const struct cursor *cursor);

#endif
