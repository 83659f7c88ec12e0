/*
 * responder.h - the message path: received bytes are cut into messages, and the reply
 * to each is put into the worker's batch. It touches no socket: connection_answer.c
 * sends the batch and acts on the status.
 */
#ifndef WORKER_RESPONDER_H
#define WORKER_RESPONDER_H

#include <stddef.h>
#include <stdint.h>

#include "worker/connection/worker_state.h"

struct connection;

enum responder_status {
	RESPONDER_DONE,       /* all answered, but for a partial message at the end */
	RESPONDER_BATCH_FULL, /* send the batch and call again with the rest */
	RESPONDER_TOO_LONG,   /* a message exceeds max_message: discard the rest */
	RESPONDER_TRUNCATED,  /* the last message is incomplete */
	RESPONDER_NO_MEMORY,  /* for a reply longer than the batch */
	RESPONDER_HALF_CLOSE, /* end our stream, when all is sent, and call again */
	RESPONDER_ENDED,      /* close as worker->session says */
};

/* 0, or -1 with ENOMEM. */
int responder_init(struct batch *batch) __attribute__((warn_unused_result));
void responder_finish(struct batch *batch);
/* Frees memory that one long reply needed, once it is sent. */
void responder_trim(struct batch *batch);

/* Sets what follows from the framing and reply in the listener's configuration. */
void responder_prepare(struct worker_listener *listener);

/* For a listener that is_bytewise: makes the reply in place, however the stream was
 * segmented. Returns the number of messages that it answers. Inline, because it is most
 * of the work for a message. */
static inline uint64_t
responder_answer_bytewise(
    const struct worker_listener *listener, uint8_t *data, size_t length)
{
	uint64_t max = listener->config->max_message;
	uint64_t messages = length <= max ? 1 : (length - 1) / max + 1;
	ledger_count(listener->block, LEDGER_MESSAGES_RECEIVED, messages);
	if (listener->transform != NULL)
		listener->transform(data, length, data);
	return messages;
}

/* For any other listener: answers the whole messages in data[length], in order. The
 * caller keeps what is behind *ret_used. */
enum responder_status responder_answer_messages(
    struct connection *connection, const uint8_t *data, size_t length, size_t *ret_used)
    __attribute__((warn_unused_result));

/* Plays the conversation that worker->session holds, with input data[length]. *ret_used
 * is less than length where a pause begins, or where it has been asked to stop. */
enum responder_status responder_play(const struct connection *connection,
    const uint8_t *data, size_t length, size_t *ret_used)
    __attribute__((warn_unused_result));

/* The peer has half-closed: answers data[length] as the last message where the framing
 * allows it. */
enum responder_status responder_answer_last(const struct connection *connection,
    const uint8_t *data, size_t length) __attribute__((warn_unused_result));

#endif
