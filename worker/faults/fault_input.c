#include "worker/faults/fault_input.h"

#include <errno.h>

#include "worker/connection/connection.h"
#include "worker/connection/connection_io.h"
#include "worker/connection/worker_state.h"
#include "worker/faults/fault_reply.h"

/* Takes the reply to one message out of the batch. */
static int
take_batch(struct connection *connection)
{
	struct batch *batch = &connection->listener->worker->batch;
	int rc = fault_reply_add(connection, batch->data, batch->length);
	batch->length = 0;
	batch->replies = 0;
	responder_trim(batch);
	return rc;
}

static bool
is_over_limit(const struct connection *connection)
{
	uint64_t limit = connection->listener->worker->config->limits.max_pending;
	return connection_queued_bytes(connection) +
	    buffer_length(connection->faults->segments) >
	    limit;
}

/* Answers the whole messages in data[length], one by one, until too much is queued. */
static enum responder_status
answer(
    struct connection *connection, const uint8_t *data, size_t length, size_t *ret_used)
{
	const struct listener_config *config = connection->listener->config;
	enum responder_status status = RESPONDER_DONE;
	*ret_used = 0;
	while (status == RESPONDER_DONE && !is_over_limit(connection)) {
		struct frame frame;
		size_t left = length - *ret_used, used;
		bool is_whole = framings[config->framing].next(data + *ret_used, left,
				    connection->searched, config->max_message,
				    &frame) == FRAME_WHOLE;
		size_t one = is_whole ? frame_length(&frame) : left;
		status =
		    responder_answer_messages(connection, data + *ret_used, one, &used);
		*ret_used += used;
		if (!is_whole)
			return status;
		if (status == RESPONDER_BATCH_FULL)
			status = RESPONDER_NO_MEMORY; /* the batch was empty */
		if (status == RESPONDER_DONE && take_batch(connection) < 0)
			return RESPONDER_NO_MEMORY;
	}
	if (status == RESPONDER_DONE)
		connection->reading_paused = true;
	return status;
}

bool
fault_input_check(struct connection *connection, enum responder_status status)
{
	switch (status) {
	case RESPONDER_DONE:
	case RESPONDER_BATCH_FULL:
		return true;
	case RESPONDER_TOO_LONG:
		return connection_finish(connection, CLOSE_MESSAGE_TOO_LONG);
	case RESPONDER_TRUNCATED:
		return connection_finish(connection, CLOSE_TRUNCATED_MESSAGE);
	case RESPONDER_NO_MEMORY:
	case RESPONDER_HALF_CLOSE: /* these two of a conversation, without faults */
	case RESPONDER_ENDED:
		break;
	}
	connection_close(connection, CLOSE_NO_MEMORY);
	return false;
}

bool
fault_input_answer_kept(struct connection *connection)
{
	struct buffer *input = connection->input;
	size_t used;
	if (input == NULL)
		return true;
	if (!fault_input_check(connection,
		answer(connection, input->data + input->start, buffer_length(input),
		    &used)))
		return false;
	if (connection->phase == CONNECTION_SERVING)
		buffer_consume(&connection->input, used);
	connection->deaths = 0;
	return true;
}

bool
fault_input_answer_new(struct connection *connection, uint8_t *data, size_t length)
{
	const struct worker_listener *listener = connection->listener;
	size_t used = 0;
	if (listener->is_bytewise) {
		(void)responder_answer_bytewise(listener, data, length);
		if (fault_reply_add(connection, data, length) < 0)
			return fault_input_check(connection, RESPONDER_NO_MEMORY);
		if (is_over_limit(connection))
			connection->reading_paused = true;
		connection->deaths = 0;
		return true;
	}
	bool has_input = connection->input != NULL;
	if (!has_input &&
	    !fault_input_check(connection, answer(connection, data, length, &used)))
		return false;
	if (connection->phase != CONNECTION_SERVING)
		return true;
	if (buffer_append(&connection->input, data + used, length - used) < 0)
		return fault_input_check(connection, RESPONDER_NO_MEMORY);
	return !has_input || fault_input_answer_kept(connection);
}

static bool
on_peer_closed(struct connection *connection)
{
	const struct fault_progress *progress = &connection->faults->progress;
	struct buffer *input = connection->input;
	size_t length = buffer_length(input);
	if (length > 0) {
		enum responder_status status = responder_answer_last(
		    connection, input->data + input->start, length);
		if (status == RESPONDER_DONE && take_batch(connection) < 0)
			status = RESPONDER_NO_MEMORY;
		if (!fault_input_check(connection, status))
			return false;
	}
	if (connection->phase != CONNECTION_SERVING)
		return true;
	bool is_ended = progress->is_half_closed || progress->is_ending;
	return connection_finish(
	    connection, is_ended ? CLOSE_FAULT : CLOSE_PEER_CLOSED);
}

bool
fault_input_read(struct connection *connection, bool *ret_more)
{
	struct worker *worker = connection->listener->worker;
	ssize_t n =
	    transport_receive(&connection->stream, worker->input, WORKER_INPUT_BYTES);
	*ret_more = n == WORKER_INPUT_BYTES || (n < 0 && errno == EINTR);
	if (n == 0)
		return on_peer_closed(connection);
	if (n < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return true;
		connection_close(connection, connection_reason_of(errno));
		return false;
	}
	/* Another read tells whether the end of file follows. */
	*ret_more = true;
	connection->received += (uint64_t)n;
	connection->active_ms = worker->timeouts.now_ms;
	ledger_count(connection->listener->block, LEDGER_BYTES_RECEIVED, (uint64_t)n);
	return fault_input_answer_new(connection, worker->input, (size_t)n);
}
