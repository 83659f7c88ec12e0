#include "worker/connection/responder.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/whoami.h"
#include "worker/connection/connection.h"
#include "worker/connection/whoami_state.h"
#include "worker/connection/worker_state.h"

/* A larger batch exists only while its one long reply is sent. */
#define BATCH_BYTES ((size_t)64 * 1024)

int
responder_init(struct batch *batch)
{
	*batch = (struct batch){ .data = malloc(BATCH_BYTES), .capacity = BATCH_BYTES };
	return batch->data == NULL ? -1 : 0;
}

void
responder_finish(struct batch *batch)
{
	free(batch->data);
}

void
responder_trim(struct batch *batch)
{
	if (batch->capacity <= BATCH_BYTES)
		return;
	uint8_t *smaller = realloc(batch->data, BATCH_BYTES);
	if (smaller == NULL)
		return;
	batch->data = smaller;
	batch->capacity = BATCH_BYTES;
}

/* Makes room for a reply of `length` bytes behind those in the batch. */
static enum responder_status
reserve(struct batch *batch, size_t length)
{
	if (batch->capacity - batch->length >= length)
		return RESPONDER_DONE;
	if (batch->length > 0)
		return RESPONDER_BATCH_FULL;
	uint8_t *larger = malloc(length);
	if (larger == NULL)
		return RESPONDER_NO_MEMORY;
	free(batch->data);
	batch->data = larger;
	batch->capacity = length;
	return RESPONDER_DONE;
}

/* Replies of which no message is a part. */
__attribute__((noinline)) static enum responder_status
answer_alone(const struct connection *connection, const struct frame *frame)
{
	const struct worker_listener *listener = connection->listener;
	struct batch *batch = &listener->worker->batch;
	enum framing framing = listener->config->framing;
	char line[WHOAMI_MAX + 1];
	size_t length = 0;
	if (listener->config->reply.kind == REPLY_DISCARD) {
		ledger_count(listener->block, LEDGER_MESSAGES_RECEIVED, 1);
		return RESPONDER_DONE;
	}
	length = whoami_state_write(connection, line);
	if (framing == FRAMING_STREAM)
		line[length++] = '\n';
	struct frame answer = framing_for_reply(framing, frame, length);
	enum responder_status status = reserve(batch, frame_length(&answer));
	if (status == RESPONDER_BATCH_FULL)
		return status;
	ledger_count(listener->block, LEDGER_MESSAGES_RECEIVED, 1);
	if (status != RESPONDER_DONE)
		return status;
	uint8_t *out = batch->data + batch->length;
	memcpy(out + answer.header, line, length);
	framing_write(framing, &answer, out);
	batch->length += frame_length(&answer);
	batch->replies++;
	return RESPONDER_DONE;
}

/* Puts the reply to one message into the batch. */
static enum responder_status
answer_one(const struct connection *connection, const uint8_t *message,
    const struct frame *frame)
{
	const struct worker_listener *listener = connection->listener;
	const struct listener_config *config = listener->config;
	const struct reply *reply = &config->reply;
	if (listener->answers_alone)
		return answer_alone(connection, frame);
	struct batch *batch = &listener->worker->batch;
	struct frame answer = framing_for_reply(
	    config->framing, frame, reply_length(reply, frame->payload));
	enum responder_status status = reserve(batch, frame_length(&answer));
	if (status == RESPONDER_BATCH_FULL)
		return status;
	ledger_count(listener->block, LEDGER_MESSAGES_RECEIVED, 1);
	if (status != RESPONDER_DONE)
		return status;
	uint8_t *out = batch->data + batch->length;
	reply_write(
	    reply, message + frame->header, frame->payload, out + answer.header);
	framing_write(config->framing, &answer, out);
	batch->length += frame_length(&answer);
	batch->replies++;
	return RESPONDER_DONE;
}

void
responder_prepare(struct worker_listener *listener)
{
	const struct listener_config *config = listener->config;
	listener->side = (struct player_side){
		.conversation = config->conversation,
		.role = CONVERSATION_SERVER,
		/* The master's pid: it is the same in the next worker. */
		.pid = (uint32_t)getppid(),
		.capture_max = config->max_message < UINT32_MAX
		    ? (uint32_t)config->max_message
		    : UINT32_MAX,
	};
	listener->is_bytewise = !framings[config->framing].has_boundaries &&
	    reply_is_bytewise(&config->reply);
	listener->answers_alone =
	    reply_is_silent(&config->reply) || config->reply.kind == REPLY_WHOAMI;
	listener->is_witness = config->reply.kind == REPLY_WITNESS;
	listener->keeps_about =
	    listener->is_witness || config->reply.kind == REPLY_WHOAMI;
	listener->transform = reply_kinds[config->reply.kind].transform;
}

enum responder_status
responder_answer_messages(
    struct connection *connection, const uint8_t *data, size_t length, size_t *ret_used)
{
	const struct listener_config *config = connection->listener->config;
	size_t searched = connection->searched;
	enum responder_status status = RESPONDER_DONE;
	connection->searched = 0;
	*ret_used = 0;
	while (status == RESPONDER_DONE) {
		struct frame frame;
		const uint8_t *message = data + *ret_used;
		size_t left = length - *ret_used;
		switch (framings[config->framing].next(
		    message, left, searched, config->max_message, &frame)) {
		case FRAME_PARTIAL:
			connection->searched = (uint32_t)left;
			return RESPONDER_DONE;
		case FRAME_TOO_LONG:
			return RESPONDER_TOO_LONG;
		case FRAME_WHOLE:
			break;
		}
		status = answer_one(connection, message, &frame);
		if (status == RESPONDER_DONE)
			*ret_used += frame_length(&frame);
		searched = 0;
	}
	return status;
}

/* True if its next pass is another worker's (transfer_send.h), unless more than a read
 * waits already. */
static bool
stops_between_passes(const struct worker_listener *listener, size_t length)
{
	return (listener->worker->transfers.between_passes >> listener->number & 1) !=
	    0 &&
	    length <= WORKER_INPUT_BYTES;
}

enum responder_status
responder_play(const struct connection *connection, const uint8_t *data, size_t length,
    size_t *ret_used)
{
	const struct worker_listener *listener = connection->listener;
	struct worker *worker = listener->worker;
	struct batch *batch = &worker->batch;
	struct session_output out = { .data = batch->data,
		.room = batch->capacity,
		.length = batch->length,
		.stops = stops_between_passes(listener, length) };
	enum session_status status =
	    session_play(&worker->session, data, length, ret_used, &out);
	batch->length = out.length;
	batch->replies += out.passes;
	ledger_count(listener->block, LEDGER_MESSAGES_RECEIVED, out.passes);
	switch (status) {
	case SESSION_FULL:
		return RESPONDER_BATCH_FULL;
	case SESSION_HALF_CLOSES:
		return RESPONDER_HALF_CLOSE;
	case SESSION_ENDED:
		return RESPONDER_ENDED;
	case SESSION_STOPPED:
		worker_request_drain_check(worker); /* it can be sent now */
		break;
	case SESSION_WAITS:
	case SESSION_PAUSES:
		break;
	}
	return RESPONDER_DONE;
}

enum responder_status
responder_answer_last(
    const struct connection *connection, const uint8_t *data, size_t length)
{
	struct frame frame;
	if (framing_last(connection->listener->config->framing, length, &frame) !=
	    FRAME_WHOLE)
		return RESPONDER_TRUNCATED;
	return answer_one(connection, data, &frame);
}
