#include "worker/faults/fault_injection.h"

#include <errno.h>

#include "lib/clock.h"
#include "net/socket_info.h"
#include "proto/faults/fault_decision.h"
#include "worker/connection/connection.h"
#include "worker/connection/connection_io.h"
#include "worker/connection/worker_state.h"
#include "worker/faults/fault_input.h"
#include "worker/faults/fault_output.h"
#include "worker/faults/fault_queue.h"
#include "worker/witness/witness_serve.h"

#define READS_PER_WAKEUP 4

/* A crash from here on is undone to what the connection is now. */
static void
begin(struct connection *connection)
{
	struct worker *worker = connection->listener->worker;
	crash_record_save_faults(worker->record, connection);
	crash_record_begin_any(connection);
}

static void
commit(const struct connection *connection)
{
	crash_record_commit(connection->listener->worker->record);
}

static bool
may_read(const struct connection *connection)
{
	return connection->phase == CONNECTION_SERVING && !connection->reading_paused &&
	    !connection->reading_held;
}

static bool
on_readable(struct connection *connection)
{
	struct crash_record *record = connection->listener->worker->record;
	bool has_more = true;
	for (int i = 0; i < READS_PER_WAKEUP && has_more && may_read(connection); i++) {
		begin(connection);
		bool is_open = fault_input_read(connection, &has_more);
		if (!is_open) {
			crash_record_commit(record);
			return false;
		}
		commit(connection);
		if (!fault_injection_flush(connection))
			return false;
	}
	/* No new edge reports what is left. */
	if (has_more && may_read(connection)) {
		event_del(&connection->event);
		if (event_add(&connection->event, NULL) < 0) {
			connection_close(connection, CLOSE_SYSTEM_ERROR);
			return false;
		}
	}
	return true;
}

/* Goes on with input that had to wait for the output. *ret_went_on: there was some. */
static bool
resume_reading(struct connection *connection, bool *ret_went_on)
{
	uint64_t limit = connection->listener->worker->config->limits.max_pending;
	uint64_t queued = connection_queued_bytes(connection) +
	    buffer_length(connection->faults->segments);
	*ret_went_on = false;
	if (!connection->reading_paused || connection->phase != CONNECTION_SERVING ||
	    queued > limit / 2)
		return true;
	connection->reading_paused = false;
	*ret_went_on = connection->input != NULL;
	return fault_input_answer_kept(connection);
}

/* Sends what is due, in steps of the crash record. */
static enum flush_status
flush(struct connection *connection)
{
	struct crash_record *record = connection->listener->worker->record;
	enum flush_status status;
	bool went_on = false;
	do {
		begin(connection);
		status = fault_output_step(connection);
		if (status == FLUSH_EMPTY && !fault_output_on_empty(connection))
			status = FLUSH_CLOSED;
		if (status != FLUSH_CLOSED && !resume_reading(connection, &went_on))
			status = FLUSH_CLOSED;
		crash_record_commit(record);
	} while (status == FLUSH_AGAIN || (status != FLUSH_CLOSED && went_on));
	return status;
}

bool
fault_injection_flush(struct connection *connection)
{
	struct fault_state *state = connection->faults;
	struct worker *worker = connection->listener->worker;
	if (connection->phase == CONNECTION_LINGERING)
		return true;
	enum flush_status status = flush(connection);
	if (status == FLUSH_CLOSED)
		return false;
	bool is_stalled = state->progress.stalled_until_ns != 0;
	/* The peer has closed, and will never get the rest. */
	if (connection->phase == CONNECTION_FINISHING &&
	    state->progress.stalled_until_ns == FAULT_FOR_EVER &&
	    close_reasons[connection->reason].peer_has_closed) {
		connection_close(connection, CLOSE_FAULT);
		return false;
	}
	connection->writing_held = status == FLUSH_WAITS;
	connection->reading_held = is_stalled || state->progress.reads_no_more ||
	    (state->progress.is_ending && !state->progress.is_half_closed);
	if (connection->phase == CONNECTION_LINGERING) {
		connection->reading_held = false;
		fault_timer_set(worker, &state->timer, FAULT_FOR_EVER);
		return true;
	}
	fault_timer_set(
	    worker, &state->timer, fault_output_next_due_ns(connection, status));
	return connection_watch(connection);
}

/* False when the connection is closed. */
static bool
begin_due(struct connection *connection)
{
	return connection->phase != CONNECTION_SERVING ||
	    fault_input_check(connection,
		fault_queue_by_age(connection) < 0 ? RESPONDER_NO_MEMORY
						   : RESPONDER_DONE);
}

static bool
step(struct connection *connection)
{
	begin(connection);
	bool is_open = begin_due(connection);
	crash_record_commit(connection->listener->worker->record);
	return is_open;
}

static void
on_due(void *argument)
{
	struct connection *connection = argument;
	if (connection->frozen)
		return;
	if (!step(connection) || !fault_injection_flush(connection))
		return;
	/* Data that arrived during a stall is reported by no new edge. */
	if (may_read(connection))
		on_readable(connection);
}

/* The peer will send no more, and this side reads no more: for ever. */
static bool
is_abandoned(const struct connection *connection, short what)
{
	const struct fault_progress *progress = &connection->faults->progress;
	return (what & EV_CLOSED) != 0 &&
	    (progress->reads_no_more || progress->stalled_until_ns == FAULT_FOR_EVER);
}

/* A reset, which no read or send tells. */
static bool
has_failed(const struct connection *connection)
{
	return (connection->reading_held || connection->writing_held) &&
	    socket_info_is_closed(connection_fd(connection));
}

static void
on_event(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	struct connection *connection = argument;
	if (connection->phase == CONNECTION_LINGERING) {
		connection_io_linger(connection);
		return;
	}
	if (is_abandoned(connection, what)) {
		connection_close(connection, CLOSE_FAULT);
		return;
	}
	if ((what & EV_WRITE) && has_failed(connection)) {
		bool is_told = transport_send(&connection->stream, "", 0) < 0;
		connection_close(
		    connection, is_told ? connection_reason_of(errno) : CLOSE_RESET);
		return;
	}
	if ((what & EV_WRITE) && !fault_injection_flush(connection))
		return;
	if ((what & (EV_READ | EV_CLOSED)) && may_read(connection))
		on_readable(connection);
}

void
fault_injection_prepare(struct worker_listener *listener)
{
	if (listener->is_witness)
		listener->on_event = witness_serve_on_event;
	else if (listener->faults.count > 0)
		listener->on_event = on_event;
	else
		listener->on_event = connection_io_callback(listener->transport);
}

bool
fault_injection_refuses(
    const struct worker_listener *listener, const struct address *peer)
{
	struct address_compact compact;
	address_compact(peer, &compact);
	uint64_t seed = fault_connection_seed(listener->faults.seed, &compact);
	for (size_t i = 0; i < listener->faults.count; i++) {
		const struct fault *fault = &listener->faults.rows[i];
		if (fault->kind != FAULT_REFUSE ||
		    !fault_selects_connection(fault, seed, &compact))
			continue;
		fault_state_note(listener, NULL,
		    &(struct fault_note){ .kind = FAULT_REFUSE, .peer = &compact });
		return true;
	}
	return false;
}

void
fault_injection_adopt(struct connection *connection)
{
	struct event *event = &connection->event;
	connection->faults->timer.on_due = on_due;
	connection->faults->timer.argument = connection;
	event_assign(event, connection->listener->worker->base, event_get_fd(event),
	    event_get_events(event), on_event, connection);
}

/* Output that is queued already becomes one segment. */
static struct fault_state *
create_state(struct connection *connection)
{
	struct buffer *segments = NULL;
	struct fault_segment queued = { .action = FAULT_NO_ACTION };
	queued.length = (uint32_t)connection_queued_bytes(connection);
	if (queued.length > 0) {
		queued.replies = (uint32_t)connection->output->replies;
		if (buffer_append(&segments, &queued, sizeof(queued)) < 0)
			return NULL;
	}
	struct fault_state *state = fault_state_create(connection, segments);
	if (state == NULL)
		buffer_release(&segments);
	return state;
}

bool
fault_injection_open(struct connection *connection)
{
	bool is_watched = !connection->frozen;
	if (create_state(connection) == NULL) {
		connection_close(connection, CLOSE_NO_MEMORY);
		return false;
	}
	if (is_watched)
		event_del(&connection->event);
	fault_injection_adopt(connection);
	if (!is_watched)
		return true;
	if (event_add(&connection->event, NULL) < 0) {
		connection_close(connection, CLOSE_SYSTEM_ERROR);
		return false;
	}
	return step(connection) && fault_injection_flush(connection);
}

/* The faults of its listener are not those that it has met. */
static void
begin_anew(struct connection *connection)
{
	struct fault_state *state = connection->faults;
	struct fault_progress *progress = &state->progress;
	state->seed =
	    fault_connection_seed(connection->listener->faults.seed, &connection->peer);
	progress->list_id = fault_state_list_id(connection->listener);
	progress->fired = 0;
	/* Faults in progress end, but not an end of the connection. */
	progress->stalled_until_ns = 0;
	progress->trickle_rate = 0;
	progress->reads_no_more = 0;
	fault_queue_release(state);
}

bool
fault_injection_restart(struct connection *connection)
{
	begin_anew(connection);
	if (connection->frozen)
		return true;
	if (!step(connection) || !fault_injection_flush(connection))
		return false;
	return !may_read(connection) || on_readable(connection);
}

void
fault_injection_stall(struct connection *connection, uint64_t time_ns)
{
	struct fault_progress *progress = &connection->faults->progress;
	uint64_t end_ns =
	    time_ns == FAULT_FOR_EVER ? time_ns : clock_now_ns() + time_ns;
	if (end_ns > progress->stalled_until_ns)
		progress->stalled_until_ns = end_ns;
	if (!connection->frozen)
		(void)fault_injection_flush(connection);
}

bool
fault_injection_replay(struct connection *connection)
{
	struct crash_record *record = connection->listener->worker->record;
	if (connection->faults->progress.list_id !=
	    fault_state_list_id(connection->listener))
		begin_anew(connection);
	begin(connection);
	fault_output_consume_sent(connection);
	bool is_open = begin_due(connection);
	if (is_open && connection->phase == CONNECTION_SERVING &&
	    !connection->reading_paused && connection->input != NULL) {
		if (!connection->listener->is_bytewise) {
			is_open = fault_input_answer_kept(connection);
		} else {
			struct buffer *input = connection->input;
			connection->input = NULL;
			is_open = fault_input_answer_new(connection,
			    input->data + input->start, buffer_length(input));
			buffer_release(&input);
		}
	}
	crash_record_commit(record);
	return is_open && fault_injection_flush(connection);
}
