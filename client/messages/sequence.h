/*
 * sequence.h - the messages: the bytes of message i of connection c, on the wire.
 *
 * A sequence is a list of texts, repeated (message i is text i % count), or a seeded
 * payload (proto/payload.h). Nothing is stored per message: any part of any
 * message is generated when it is sent, and again when its answer is verified.
 */
#ifndef CLIENT_MESSAGES_SEQUENCE_H
#define CLIENT_MESSAGES_SEQUENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/framing.h"
#include "proto/reply.h"
#include "client/messages/message_template.h"
#include "client/plan/plan.h"

/* A position in the messages, or in the answers, of one connection. */
struct cursor {
	uint64_t message; /* index, from 0 */
	uint64_t offset;  /* bytes of payload in the messages before it */
	uint32_t at;      /* bytes of it before this position, on the wire */
	uint32_t length;  /* of it, on the wire; 0: not computed yet */
};

struct sequence {
	enum framing framing;
	struct message_template *texts; /* NULL: seeded payload */
	uint8_t **wires;                /* of constant texts: framed, ready to send */
	uint32_t count;                 /* texts; 1 for a payload */
	uint32_t longest;               /* payload bytes of the longest message */
	bool varies;                    /* two connections may send different bytes */
	bool is_uniform; /* a payload without framing, in messages of one size */
	uint64_t seed, size_min, size_max;
};

/* With is_uniform a connection sends its payload as it is, and messages are cut from it
 * without being looked at: the bytes of many are made, and compared, at once. Moves the
 * cursor `bytes` forwards; returns the number of messages that end there or before. */
static inline uint64_t
sequence_advance(const struct sequence *sequence, struct cursor *cursor, uint64_t bytes)
{
	uint64_t size = sequence->size_min, at = cursor->at + bytes, messages = 0;
	if (at >= size)
		messages = at / size;
	cursor->message += messages;
	cursor->offset += messages * size;
	cursor->at = (uint32_t)(at - messages * size);
	cursor->length = cursor->at > 0 ? (uint32_t)size : 0;
	return messages;
}

/* Reads and checks the messages of the plan. 0, or a status (sysexits.h: EX_USAGE,
 * EX_OSERR) with one line in error[PLAN_ERROR_MAX]. On 0 the caller calls
 * sequence_close. */
int sequence_open(const struct plan *plan, struct sequence *ret, char *error)
    __attribute__((warn_unused_result));
void sequence_close(struct sequence *sequence);

/* The framed replies to the constant messages, in the order of the texts, NULL for
 * those that vary. The sequence's own wires are the echo. Freed by sequence_free_wires.
 */
uint8_t **sequence_make_wires(
    const struct sequence *sequence, const struct reply *reply);
void sequence_free_wires(const struct sequence *sequence, uint8_t **wires);

/* Bytes of payload of a message. */
uint32_t sequence_payload_length(
    const struct sequence *sequence, uint64_t connection, uint64_t message);

/* Writes payload bytes from .. from + length - 1 of the message at the cursor.
 * `scratch` has room for the longest message. */
void sequence_payload(const struct sequence *sequence, uint64_t connection,
    const struct cursor *cursor, size_t from, size_t length, uint8_t *scratch,
    uint8_t *out);

/* Bytes of a message on the wire. */
uint32_t sequence_wire_length(
    const struct sequence *sequence, uint64_t connection, uint64_t message);

/* Up to *length bytes on the wire, from cursor->at of the message at the cursor.
 * Returns where they are (in the sequence or in out, which has room for *length) and
 * sets *length to their number. */
const uint8_t *sequence_wire(const struct sequence *sequence, uint64_t connection,
    const struct cursor *cursor, size_t *length, uint8_t *scratch, uint8_t *out);

/* Moves the cursor to the start of a message, backwards or forwards. */
void sequence_seek(const struct sequence *sequence, uint64_t connection,
    struct cursor *cursor, uint64_t message);

#endif
