#include "worker/witness/witness_serve.h"

#include <errno.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "worker/connection/connection.h"
#include "worker/connection/connection_io.h"
#include "worker/connection/tls_transport.h"
#include "worker/connection/whoami_state.h"
#include "worker/connection/witness_state.h"
#include "worker/connection/worker_state.h"
#include "worker/witness/witness_commands.h"
#include "worker/witness/witness_output.h"

#define READS_PER_WAKEUP 4
/* The batch of a transfer that it is part of may yet come back. */
#define FROZEN_RETRY_NS (10 * NS_PER_MS)

/* A crash until end() leaves the connection to be closed. */
static void
begin(struct connection *connection)
{
	struct witness_state *state = witness_state_find(connection);
	if (state != NULL)
		state->is_busy = 1;
	crash_record_begin_any(connection);
}

static bool
end(struct connection *connection, struct crash_record *record, bool is_open)
{
	if (is_open)
		witness_state_of(connection)->is_busy = 0;
	crash_record_commit(record);
	return is_open;
}

static struct crash_record *
record_of(const struct connection *connection)
{
	return connection->listener->worker->record;
}

/* Wakes up when something is due; while the state of the kernel changes without an
 * event, also to note it. 0, or -1 with ENOMEM. */
static int
set_timer(struct connection *connection)
{
	const struct witness_state *state = witness_state_of(connection);
	struct pauses *pauses = &connection->listener->worker->pauses;
	uint64_t end_ns = state->due_ns;
	if (witness_commands_must_wait(connection)) {
		uint64_t refresh_ns = clock_now_ns() + WITNESS_REFRESH_MS * NS_PER_MS;
		end_ns = end_ns == 0 || end_ns > refresh_ns ? refresh_ns : end_ns;
	}
	if (end_ns != 0)
		return pauses_set(pauses, connection, &connection->pause_place, end_ns);
	pauses_clear(pauses, &connection->pause_place);
	return 0;
}

/* Watches the socket again: what is left is reported by no new edge. */
static bool
rearm(struct connection *connection)
{
	event_del(&connection->event);
	if (event_add(&connection->event, NULL) == 0)
		return true;
	connection_close(connection, CLOSE_SYSTEM_ERROR);
	return false;
}

/* Ends our stream once all before it is sent. */
static bool
end_stream(struct connection *connection)
{
	struct witness_state *state = witness_state_of(connection);
	if (state->ends == 0 || connection->output != NULL || state->says != 0)
		return true;
	/* It waits behind an output without bytes. */
	if (connection->tls != NULL && !tls_transport_end(connection))
		return true;
	state->ends = 0;
	if (transport_finish(&connection->stream) < 0) {
		witness_output_close(connection, errno);
		return false;
	}
	witness_state_add_event(connection, WITNESS_EVENT_FIN_SENT);
	return true;
}

/* True if the client has ended its stream and nothing is left to do. */
static bool
is_over(const struct connection *connection)
{
	const struct witness_state *state = witness_state_of(connection);
	return state->peer_has_ended != 0 && state->due_ns == 0 && state->says == 0 &&
	    state->ends == 0 && connection->input == NULL;
}

/* Sends what is queued, and takes what had to wait for that. False when the connection
 * was closed. */
static bool
exchange(struct connection *connection, bool *ret_has_more)
{
	do {
		if (!witness_output_send(connection, ret_has_more) ||
		    !end_stream(connection))
			return false;
		if (connection->input == NULL || witness_commands_must_wait(connection))
			return true;
		if (!witness_commands_take_kept(connection))
			return false;
	} while (connection->phase == CONNECTION_SERVING);
	return true;
}

/* Data of TLS that was read while reading paused is reported by no event. */
static void
pause_reading(struct connection *connection, bool is_paused)
{
	if (connection->reading_paused && !is_paused && connection->tls != NULL)
		event_active(&connection->event, EV_READ, 0);
	connection->reading_paused = is_paused;
}

/* Continues until the socket or a time is to be waited for. False when the connection
 * was closed. */
static bool
settle(struct connection *connection)
{
	bool has_more = false;
	if (connection->phase != CONNECTION_SERVING)
		return true;
	if (!exchange(connection, &has_more))
		return false;
	if (connection->phase != CONNECTION_SERVING)
		return true;
	if (is_over(connection))
		return connection_finish(connection, CLOSE_PEER_CLOSED);
	pause_reading(connection,
	    witness_commands_must_wait(connection) ||
		witness_state_of(connection)->peer_has_ended != 0);
	witness_state_update(connection, WITNESS_REFRESH_MS * UINT64_C(1000));
	witness_state_publish(connection);
	if (set_timer(connection) < 0) {
		connection_close(connection, CLOSE_NO_MEMORY);
		return false;
	}
	return connection_watch(connection) && (!has_more || rearm(connection));
}

/* The rest of what a connection that finishes has to send. */
static bool
finish(struct connection *connection)
{
	bool has_more = false;
	if (!witness_output_send(connection, &has_more))
		return false;
	if (connection->output == NULL)
		return connection_finish_now(connection);
	return !has_more || rearm(connection);
}

/* Reads once. False when the connection was closed; *ret_is_empty: nothing is left. */
static bool
read_once(struct connection *connection, bool *ret_is_empty)
{
	struct worker *worker = connection->listener->worker;
	ssize_t n =
	    transport_receive(&connection->stream, worker->input, WORKER_INPUT_BYTES);
	if (n > 0) {
		connection->received += (uint64_t)n;
		connection->active_ms = worker->timeouts.now_ms;
		ledger_count(
		    connection->listener->block, LEDGER_BYTES_RECEIVED, (uint64_t)n);
		return witness_commands_take(connection, worker->input, (size_t)n);
	}
	*ret_is_empty = n == 0 || errno == EAGAIN;
	if (n == 0) {
		witness_state_of(connection)->peer_has_ended = 1;
		witness_state_add_event(connection, WITNESS_EVENT_EOF);
	} else if (errno != EAGAIN && errno != EINTR) {
		witness_output_close(connection, errno);
		return false;
	}
	return true;
}

static bool
may_read(const struct connection *connection)
{
	return connection->phase == CONNECTION_SERVING && !connection->reading_paused;
}

static bool
on_readable(struct connection *connection)
{
	struct crash_record *record = record_of(connection);
	bool is_empty = false;
	for (int i = 0; i < READS_PER_WAKEUP && !is_empty && may_read(connection);
	     i++) {
		begin(connection);
		bool is_open = read_once(connection, &is_empty) && settle(connection);
		if (!end(connection, record, is_open))
			return false;
	}
	return is_empty || !may_read(connection) || rearm(connection);
}

bool
witness_serve_flush(struct connection *connection)
{
	struct crash_record *record = record_of(connection);
	begin(connection);
	bool is_open = connection->phase == CONNECTION_FINISHING ? finish(connection)
								 : settle(connection);
	return end(connection, record, is_open);
}

void
witness_serve_on_event(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	struct connection *connection = argument;
	if (connection->phase == CONNECTION_LINGERING) {
		connection_io_linger(connection);
		return;
	}
	if ((what & EV_WRITE) != 0 && !witness_serve_flush(connection))
		return;
	if ((what & (EV_READ | EV_CLOSED)) != 0)
		(void)on_readable(connection);
}

void
witness_serve_on_due(struct connection *connection)
{
	struct pauses *pauses = &connection->listener->worker->pauses;
	struct crash_record *record = record_of(connection);
	if (connection->phase != CONNECTION_SERVING)
		return;
	if (connection->frozen) {
		/* A place has just become free. */
		if (pauses_set(pauses, connection, &connection->pause_place,
			clock_now_ns() + FROZEN_RETRY_NS) < 0)
			log_debug("[pause_failed] witness: cannot wait");
		return;
	}
	begin(connection);
	bool is_open = witness_commands_act_due(connection) && settle(connection);
	(void)end(connection, record, is_open);
}

/* Queues the greeting, and replaces what is kept of the connection. */
static bool
greet(struct connection *connection)
{
	const struct worker_listener *listener = connection->listener;
	const struct worker *worker = listener->worker;
	char whoami[WHOAMI_MAX], line[WITNESS_GREETING_MAX];
	struct witness_greeting greeting = {
		.idle_ms = worker->config->timeouts.idle_ns / NS_PER_MS,
		.open = atomic_load(&listener->block->open),
		.accepted = ledger_read(listener->block, LEDGER_CONNECTIONS_ACCEPTED)
	};
	greeting.syn_bytes = whoami_state_syn(connection, greeting.syn_headers);
	size_t length = whoami_state_write(connection, whoami);
	if (witness_state_create(connection) < 0) {
		connection_close(
		    connection, errno == ENOMEM ? CLOSE_NO_MEMORY : CLOSE_SYSTEM_ERROR);
		return false;
	}
	greeting.id = witness_state_of(connection)->record.id;
	length = witness_greeting_write(&greeting, whoami, length, line);
	return witness_output_add(connection, line, length, 0);
}

/* Takes bytes that came behind a PROXY header. */
static bool
take_first(struct connection *connection)
{
	struct buffer *input = connection->input;
	if (input == NULL)
		return true;
	connection->input = NULL;
	bool is_open = witness_commands_take(
	    connection, input->data + input->start, buffer_length(input));
	buffer_release(&input);
	return is_open;
}

bool
witness_serve_begin(struct connection *connection)
{
	struct crash_record *record = record_of(connection);
	begin(connection);
	bool is_open =
	    greet(connection) && take_first(connection) && settle(connection);
	return end(connection, record, is_open);
}

bool
witness_serve_resume(struct connection *connection)
{
	const struct witness_state *state = witness_state_find(connection);
	if (connection->phase == CONNECTION_LINGERING ||
	    connection_phase_is_handshake(connection->phase))
		return true;
	if (state == NULL)
		return witness_serve_begin(connection);
	if (state->is_busy != 0) {
		connection_close(connection, CLOSE_DRAINED);
		return false;
	}
	return witness_serve_flush(connection);
}
