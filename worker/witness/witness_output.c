#include "worker/witness/witness_output.h"

#include <errno.h>

#include "worker/connection/connection.h"
#include "worker/connection/connection_io.h"
#include "worker/connection/witness_state.h"
#include "worker/connection/worker_state.h"

#define SENDS_PER_WAKEUP 16

bool
witness_output_is_full(const struct connection *connection)
{
	const struct witness_state *state = witness_state_of(connection);
	return state->says != 0 ||
	    connection_queued_bytes(connection) > WITNESS_UNSENT_MAX;
}

/* Room for bytes behind those that wait; NULL with the connection closed. */
static struct buffer *
reserve(struct connection *connection, size_t length)
{
	struct output *output = connection->output != NULL
	    ? connection->output
	    : connection_create_output(connection);
	if (output != NULL && buffer_reserve(&output->bytes, length) == 0)
		return output->bytes;
	connection_close(connection, CLOSE_NO_MEMORY);
	return NULL;
}

bool
witness_output_add(
    struct connection *connection, const void *data, size_t length, uint64_t replies)
{
	if (length == 0)
		return true;
	if (reserve(connection, length) == NULL)
		return false;
	/* There is room for them. */
	(void)!buffer_append(&connection->output->bytes, data, length);
	connection->output->replies += replies;
	return true;
}

bool
witness_output_answer(struct connection *connection, enum witness_command_kind kind,
    const struct witness_record *record)
{
	char line[WITNESS_ANSWER_MAX];
	const struct worker *worker = connection->listener->worker;
	size_t length =
	    witness_answer_write(kind, record, worker->config->instance_name, line);
	return witness_output_add(connection, line, length, 1);
}

/* Queues the next bytes of say or source. */
static bool
add_pattern(struct connection *connection)
{
	struct witness_state *state = witness_state_of(connection);
	size_t queued = connection_queued_bytes(connection);
	size_t left = state->pattern_bytes - state->pattern_queued;
	size_t room = queued < WITNESS_UNSENT_MAX ? WITNESS_UNSENT_MAX - queued : 0;
	size_t length = left < room ? left : room;
	if (length == 0)
		return true;
	struct buffer *bytes = reserve(connection, length);
	if (bytes == NULL)
		return false;
	witness_fill(state->pattern_queued, bytes->data + bytes->end, length);
	bytes->end += length;
	state->pattern_queued += (uint32_t)length;
	return true;
}

void
witness_output_close(struct connection *connection, int error)
{
	enum close_reason reason = connection_reason_of(error);
	if (reason == CLOSE_RESET)
		witness_state_add_event(connection, WITNESS_EVENT_RESET);
	else if (reason == CLOSE_TLS_TRUNCATED)
		witness_state_add_event(connection, WITNESS_EVENT_EOF);
	else if (reason == CLOSE_UNREACHABLE)
		witness_state_add_event(connection, WITNESS_EVENT_UNREACHABLE);
	connection_close(connection, reason);
}

/* All of the output is sent. */
static void
on_sent(struct connection *connection)
{
	connection->active_ms = connection->listener->worker->timeouts.now_ms;
	ledger_count(connection->listener->block, LEDGER_REPLIES_SENT,
	    connection->output->replies);
	connection_destroy_output(connection);
}

/* Notes that say or source has sent all. */
static void
check_said(const struct connection *connection)
{
	struct witness_state *state = witness_state_of(connection);
	if (state->says == 0 || connection->output != NULL ||
	    state->pattern_queued < state->pattern_bytes)
		return;
	state->says = 0;
	witness_state_add_event(connection, WITNESS_EVENT_SAID);
}

/* Sends once. False when the connection was closed; *ret_is_blocked: no room. */
static bool
send_once(struct connection *connection, bool *ret_is_blocked)
{
	struct output *output = connection->output;
	struct buffer *bytes = output->bytes;
	if (bytes == NULL) { /* the end of TLS waits (tls_transport.h) */
		on_sent(connection);
		return true;
	}
	ssize_t n = transport_send(
	    &connection->stream, bytes->data + bytes->start, buffer_length(bytes));
	if (n < 0) {
		*ret_is_blocked = errno == EAGAIN;
		if (errno == EAGAIN || errno == EINTR)
			return true;
		witness_output_close(connection, errno);
		return false;
	}
	ledger_count(connection->listener->block, LEDGER_BYTES_SENT, (uint64_t)n);
	connection->sent += (uint64_t)n;
	output->progress_ms = connection->listener->worker->timeouts.now_ms;
	buffer_consume(&output->bytes, (size_t)n);
	if (output->bytes == NULL)
		on_sent(connection);
	return true;
}

bool
witness_output_send(struct connection *connection, bool *ret_has_more)
{
	bool is_blocked = false;
	int sends_left = SENDS_PER_WAKEUP;
	do {
		if (!add_pattern(connection))
			return false;
		if (connection->output == NULL)
			break;
		if (!send_once(connection, &is_blocked))
			return false;
	} while (!is_blocked && --sends_left > 0);
	check_said(connection);
	*ret_has_more = sends_left == 0 && connection->output != NULL;
	return true;
}
