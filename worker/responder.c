#include "worker/responder.h"

#include <stdlib.h>
#include <string.h>

#include "worker/connection.h"
#include "worker/connection_io.h"
#include "worker/worker_state.h"

/* What the batch keeps: a longer one exists for its one long reply. */
#define BATCH_KEPT_BYTES (64 * 1024)

/* Replies made but not yet given to the kernel: one send for as many as fit. */
struct batch {
	struct connection *connection;
	struct worker *worker;
	size_t length;
	uint64_t replies;
};

static void
shrink(struct worker *worker)
{
	uint8_t *smaller = realloc(worker->batch, BATCH_KEPT_BYTES);
	if (smaller == NULL)
		return;
	worker->batch = smaller;
	worker->batch_capacity = BATCH_KEPT_BYTES;
}

static bool
batch_flush(struct batch *batch)
{
	if (batch->length == 0) {
		/* Replies of no bytes (`fixed=`) need no sending. */
		ledger_count(batch->connection->listener->block, LEDGER_REPLIES_SENT,
		    batch->replies);
		batch->replies = 0;
		return true;
	}
	size_t length = batch->length;
	uint64_t replies = batch->replies;
	batch->length = 0;
	batch->replies = 0;
	bool is_open = connection_io_send(
	    batch->connection, batch->worker->batch, length, replies);
	if (batch->worker->batch_capacity > BATCH_KEPT_BYTES)
		shrink(batch->worker);
	return is_open;
}

/* Room for a reply of `length` bytes behind those in the batch; NULL with the
 * connection closed when there is none to be had. */
static uint8_t *
batch_reserve(struct batch *batch, size_t length)
{
	struct worker *worker = batch->worker;
	if (worker->batch_capacity - batch->length >= length)
		return worker->batch + batch->length;
	if (!batch_flush(batch))
		return NULL;
	if (worker->batch_capacity < length) {
		uint8_t *larger = malloc(length);
		if (larger == NULL) {
			connection_close(batch->connection, CLOSE_NO_MEMORY);
			return NULL;
		}
		free(worker->batch);
		worker->batch = larger;
		worker->batch_capacity = length;
	}
	return worker->batch;
}

/* Puts the reply to one message into the batch. */
static bool
answer_one(struct batch *batch, const uint8_t *message, const struct frame *frame)
{
	const struct listener_config *config = batch->connection->listener->config;
	const struct reply *reply = &config->reply;
	ledger_count(batch->connection->listener->block, LEDGER_MESSAGES_RECEIVED, 1);
	if (reply->kind == REPLY_DISCARD)
		return true;
	struct frame answer = framing_for_reply(
	    config->framing, frame, reply_length(reply, frame->payload));
	uint8_t *out = batch_reserve(batch, frame_length(&answer));
	if (out == NULL)
		return false;
	reply_write(
	    reply, message + frame->header, frame->payload, out + answer.header);
	framing_write(config->framing, &answer, out);
	batch->length += frame_length(&answer);
	batch->replies++;
	return true;
}

/* One message after the other, until the data or the peer's patience is used up. */
static bool
answer_framed(struct batch *batch, const uint8_t *data, size_t length, size_t *ret_used)
{
	struct connection *connection = batch->connection;
	const struct listener_config *config = connection->listener->config;
	size_t searched = connection->searched, used = 0;
	connection->searched = 0;
	while (!connection_is_over_output_limit(connection)) {
		struct frame frame;
		enum frame_status status = framing_next(config->framing, data + used,
		    length - used, searched, config->max_message, &frame);
		if (status == FRAME_PARTIAL) {
			connection->searched = (uint32_t)(length - used);
			break;
		}
		if (status == FRAME_TOO_LONG) {
			if (!batch_flush(batch))
				return false;
			*ret_used = length;
			return connection_finish(connection, CLOSE_MESSAGE_TOO_LONG);
		}
		if (!answer_one(batch, data + used, &frame))
			return false;
		used += frame_length(&frame);
		searched = 0;
	}
	*ret_used = used;
	return batch_flush(batch);
}

bool
responder_answer_bytewise(struct connection *connection, uint8_t *data, size_t length)
{
	const struct listener_config *config = connection->listener->config;
	uint64_t messages =
	    length <= config->max_message ? 1 : (length - 1) / config->max_message + 1;
	ledger_count(connection->listener->block, LEDGER_MESSAGES_RECEIVED, messages);
	if (config->reply.kind == REPLY_UPPER)
		reply_to_upper(data, length, data);
	return connection_io_send(connection, data, length, messages);
}

bool
responder_answer_messages(
    struct connection *connection, const uint8_t *data, size_t length, size_t *ret_used)
{
	struct batch batch = {
		.connection = connection,
		.worker = connection->listener->worker,
	};
	return answer_framed(&batch, data, length, ret_used);
}

bool
responder_answer_rest(struct connection *connection, const uint8_t *data, size_t length)
{
	struct frame frame;
	if (length == 0)
		return true;
	if (framing_last(connection->listener->config->framing, data, length, &frame) !=
	    FRAME_WHOLE)
		return connection_finish(connection, CLOSE_TRUNCATED_MESSAGE);
	struct batch batch = {
		.connection = connection,
		.worker = connection->listener->worker,
	};
	return answer_one(&batch, data, &frame) && batch_flush(&batch);
}
