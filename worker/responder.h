/*
 * responder.h - the message path: bytes that came, cut into messages, each answered.
 */
#ifndef WORKER_RESPONDER_H
#define WORKER_RESPONDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection;

/* For a listener that is_bytewise: the bytes go back as they are or raised (in place),
 * wherever they were cut. False when the connection was closed. */
bool responder_answer_bytewise(struct connection *connection, uint8_t *data,
    size_t length) __attribute__((warn_unused_result));

/* For any other: answers every whole message in data[length], in order, until
 * too much is stuck. Returns the bytes used up in *ret_used; the caller keeps the rest.
 * False when the connection was closed. It may come back finishing. */
bool responder_answer_messages(struct connection *connection, const uint8_t *data,
    size_t length, size_t *ret_used) __attribute__((warn_unused_result));

/* The peer has closed its side: answers what is left in data[length] as the last
 * message where the framing allows it. False when the connection was closed. */
bool responder_answer_rest(struct connection *connection, const uint8_t *data,
    size_t length) __attribute__((warn_unused_result));

#endif
