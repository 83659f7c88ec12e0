/*
 * answer.h - what must come back: which bytes the answer to message i of connection c
 * has.
 *
 * Made from the same sequence that made the message, by the grammar of proto/reply.h:
 *
 *   [ header ][ payload, as it is or raised ][ suffix or fixed text ][ trailer ]
 *
 * With --expect auto two replies, echo and upper, are candidates until an answer tells.
 */
#ifndef CLIENT_ANSWER_H
#define CLIENT_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/reply.h"

#include "client/plan.h"
#include "client/sequence.h"

struct answers {
	const struct sequence *sequence;
	const struct reply *reply; /* NULL: auto */
	bool none;                 /* nothing is owed to a message */
	uint8_t **wires;           /* as in the sequence; NULL when they can vary */
};

int answer_open(const struct plan *plan, const struct sequence *sequence,
    struct answers *ret) __attribute__((warn_unused_result)); /* 0, or -1: no memory */
void answer_close(struct answers *answers);

/* Bytes of an answer on the wire. */
uint32_t answer_length(
    const struct answers *answers, uint64_t connection, uint64_t message);

/* Up to *length bytes from cursor->at of the answer at the cursor, as the reply `kind`
 * makes it: where they stand (in the answers or in out, which has room for *length),
 * and how many in *length. `scratch` has room for the longest message. */
const uint8_t *answer_wire(const struct answers *answers, enum reply_kind kind,
    uint64_t connection, const struct cursor *cursor, size_t *length, uint8_t *scratch,
    uint8_t *out);

/* Bytes of all answers before the one at the cursor. */
uint64_t answer_offset(const struct answers *answers, const struct cursor *cursor);

#endif
