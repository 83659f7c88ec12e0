#include "worker/faults/fault_output.h"

#include <sys/socket.h>

#include <errno.h>

#include "lib/clock.h"
#include "worker/connection/connection.h"
#include "worker/connection/connection_io.h"
#include "worker/connection/worker_state.h"
#include "worker/faults/fault_selection.h"

#define TRICKLES_PER_S 50

static void
note_action(const struct connection *connection, const struct fault_segment *segment)
{
	fault_state_note(connection->listener, connection->faults,
	    &(struct fault_note){
		.kind = (enum fault_kind)segment->action,
		.peer = &connection->peer,
		.message = segment->message,
		.offset = segment->offset,
		.value = segment->value,
	    });
}

static void
reset(struct connection *connection)
{
	const struct linger at_once = { .l_onoff = 1 };
	setsockopt(connection_fd(connection), SOL_SOCKET, SO_LINGER, &at_once,
	    sizeof(at_once));
	/* Its close does not wait: not with this option of our own. */
	connection->was_received = false;
	connection_close(connection, CLOSE_FAULT);
}

static void
drop_output(struct connection *connection)
{
	buffer_release(&connection->faults->segments);
	connection->faults->progress.front_sent = 0;
	ledger_count(connection->listener->block, LEDGER_BYTES_DROPPED,
	    connection_queued_bytes(connection));
	connection_destroy_output(connection);
}

/* Does what the first segment says. False when the connection is closed. */
static bool
act(struct connection *connection)
{
	struct fault_state *state = connection->faults;
	struct fault_progress *progress = &state->progress;
	const struct fault_segment *front = fault_state_front(state);
	if (front == NULL)
		return true;
	struct fault_segment segment = *front;
	uint64_t now_ns = clock_now_ns();
	buffer_consume(&state->segments, sizeof(segment));
	note_action(connection, &segment);
	switch ((enum fault_kind)segment.action) {
	case FAULT_STALL:
		progress->stalled_until_ns = segment.value == FAULT_FOR_EVER
		    ? FAULT_FOR_EVER
		    : now_ns + segment.value;
		break;
	case FAULT_TRICKLE:
		progress->trickle_rate = segment.value;
		progress->trickle_next_ns = now_ns;
		break;
	case FAULT_NEVER_READ:
		progress->reads_no_more = 1;
		break;
	case FAULT_HALF_CLOSE:
		drop_output(connection);
		progress->is_half_closed = 1;
		if (transport_finish(&connection->stream) == 0)
			break;
		connection_close(connection, CLOSE_FAULT);
		return false;
	case FAULT_CLOSE:
		drop_output(connection);
		return connection_finish(connection, CLOSE_FAULT);
	case FAULT_RESET:
		reset(connection);
		return false;
	default:
		break;
	}
	return true;
}

void
fault_output_consume_sent(struct connection *connection)
{
	struct fault_state *state = connection->faults;
	struct fault_progress *progress = &state->progress;
	const struct fault_segment *front;
	uint64_t replies = 0;
	while ((front = fault_state_front(state)) != NULL &&
	    front->action == FAULT_NO_ACTION && progress->front_sent >= front->length) {
		progress->front_sent -= front->length;
		replies += front->replies;
		buffer_consume(&state->segments, sizeof(*front));
	}
	ledger_count(connection->listener->block, LEDGER_REPLIES_SENT, replies);
}

/* Bytes at the front of the output that are due, up to the next action. */
static size_t
due_bytes(const struct fault_state *state, uint64_t now_ns)
{
	const struct fault_segment *segment = fault_state_front(state);
	size_t count = fault_state_segment_count(state), bytes = 0;
	for (size_t i = 0; i < count && segment[i].action == FAULT_NO_ACTION &&
	     segment[i].due_ns <= now_ns;
	     i++)
		bytes += segment[i].length;
	return bytes < state->progress.front_sent ? 0
						  : bytes - state->progress.front_sent;
}

/* At most what a slow connection may send now. */
static size_t
limit_by_rate(struct fault_progress *progress, size_t bytes, uint64_t now_ns)
{
	uint64_t rate = progress->trickle_rate;
	if (rate == 0)
		return bytes;
	if (progress->trickle_next_ns > now_ns)
		return 0;
	size_t most = rate < TRICKLES_PER_S ? 1 : (size_t)(rate / TRICKLES_PER_S);
	bytes = bytes < most ? bytes : most;
	progress->trickle_next_ns = now_ns + bytes * NS_PER_S / rate;
	return bytes;
}

enum flush_status
fault_output_step(struct connection *connection)
{
	struct worker *worker = connection->listener->worker;
	struct fault_state *state = connection->faults;
	struct fault_progress *progress = &state->progress;
	uint64_t now_ns = clock_now_ns();
	fault_output_consume_sent(connection);
	const struct fault_segment *front = fault_state_front(state);
	if (progress->stalled_until_ns > now_ns)
		return FLUSH_WAITS;
	progress->stalled_until_ns = 0;
	if (front == NULL)
		return FLUSH_EMPTY;
	if (front->due_ns > now_ns)
		return FLUSH_WAITS;
	if (front->action != FAULT_NO_ACTION)
		return act(connection) ? FLUSH_AGAIN : FLUSH_CLOSED;
	size_t bytes = limit_by_rate(progress, due_bytes(state, now_ns), now_ns);
	if (bytes == 0)
		return FLUSH_WAITS;
	struct output *output = connection->output;
	ssize_t n = transport_send(
	    &connection->stream, output->bytes->data + output->bytes->start, bytes);
	if (n < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return FLUSH_BLOCKED;
		connection_close(connection, connection_reason_of(errno));
		return FLUSH_CLOSED;
	}
	ledger_count(connection->listener->block, LEDGER_BYTES_SENT, (uint64_t)n);
	connection->sent += (uint64_t)n;
	output->progress_ms = worker->timeouts.now_ms;
	buffer_consume(&output->bytes, (size_t)n);
	progress->front_sent += (uint32_t)n;
	fault_output_consume_sent(connection);
	return (size_t)n < bytes ? FLUSH_BLOCKED : FLUSH_AGAIN;
}

bool
fault_output_on_empty(struct connection *connection)
{
	if (connection->output != NULL) {
		connection->active_ms = connection->listener->worker->timeouts.now_ms;
		connection_destroy_output(connection);
	}
	if (connection->phase == CONNECTION_FINISHING)
		return connection_finish_now(connection);
	return true;
}

uint64_t
fault_output_next_due_ns(const struct connection *connection, enum flush_status status)
{
	const struct fault_state *state = connection->faults;
	const struct fault_progress *progress = &state->progress;
	const struct fault_segment *front = fault_state_front(state);
	uint64_t due_ns = fault_selection_next_age_ns(connection),
		 own_ns = FAULT_FOR_EVER;
	if (progress->stalled_until_ns != 0) {
		own_ns = progress->stalled_until_ns;
	} else if (status == FLUSH_WAITS && front != NULL) {
		own_ns = front->due_ns;
		if (front->action == FAULT_NO_ACTION && progress->trickle_rate != 0 &&
		    progress->trickle_next_ns > own_ns)
			own_ns = progress->trickle_next_ns;
	}
	return own_ns < due_ns ? own_ns : due_ns;
}
