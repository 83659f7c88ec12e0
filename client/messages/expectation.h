/*
 * expectation.h - what must come back: which bytes the answer to message i of
 * connection c has.
 *
 * Made from the same sequence that made the message, by the grammar of proto/reply.h:
 *
 *   [ header ][ payload, as it is or raised ][ suffix or fixed text ][ trailer ]
 *
 * With --expect auto two replies, echo and upper, are candidates until an answer tells.
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
	bool none;                 /* nothing is owed to a message */
	uint8_t **wires;           /* as in the sequence; NULL when they can vary */
};

int expectation_open(
    const struct plan *plan, const struct sequence *sequence, struct expectation *ret)
    __attribute__((warn_unused_result)); /* 0, or -1: no memory */
void expectation_close(struct expectation *expectation);

/* Bytes of an answer on the wire. */
uint32_t expectation_length(
    const struct expectation *expectation, uint64_t connection, uint64_t message);

/* Up to *length bytes from cursor->at of the answer at the cursor, as the reply `kind`
 * makes it: where they stand (in the expectation or in out, which has room for
 * *length), and how many in *length. `scratch` has room for the longest message. */
const uint8_t *expectation_wire(const struct expectation *expectation,
    enum reply_kind kind, uint64_t connection, const struct cursor *cursor,
    size_t *length, uint8_t *scratch, uint8_t *out);

/* Bytes of all answers before the one at the cursor. */
uint64_t expectation_offset(
    const struct expectation *expectation, const struct cursor *cursor);

#endif
