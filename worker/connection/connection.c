#include "worker/connection/connection.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "net/mptcp.h"
#include "worker/connection/fault_state.h"
#include "worker/connection/tls_state.h"
#include "worker/connection/tls_transport.h"
#include "worker/connection/whoami_state.h"
#include "worker/connection/witness_state.h"
#include "worker/connection/worker_state.h"
#include "worker/conversation/session.h"
#include "worker/limits/address_limits.h"

bool
connection_is_between_passes(const struct connection *connection)
{
	const struct buffer *input = connection->input;
	return listener_plays(connection->listener) && input != NULL &&
	    session_is_between_passes(input->data + input->start, buffer_length(input));
}

bool
connection_is_idle(const struct connection *connection)
{
	return connection->output == NULL &&
	    (connection->input == NULL ||
		(connection_is_between_passes(connection) &&
		    session_waiting_bytes(connection->input) == 0));
}

bool
connection_is_over_output_limit(const struct connection *connection)
{
	uint64_t limit = connection->listener->worker->config->limits.max_pending;
	return connection_queued_bytes(connection) > limit;
}

struct output *
connection_create_output(struct connection *connection)
{
	struct worker *worker = connection->listener->worker;
	struct output *output = worker->region.slabs != NULL
	    ? region_heap_alloc(&worker->blocks, sizeof(*output))
	    : malloc(sizeof(*output));
	if (output == NULL)
		return NULL;
	memset(output, 0, sizeof(*output));
	output->owner = connection;
	output->progress_ms = worker->timeouts.now_ms;
	LIST_INSERT_HEAD(&worker->queued_outputs, output, queued);
	connection->output = output;
	return output;
}

void
connection_destroy_output(struct connection *connection)
{
	struct worker *worker = connection->listener->worker;
	struct output *output = connection->output;
	if (output == NULL)
		return;
	connection->output = NULL;
	LIST_REMOVE(output, queued);
	buffer_release(&output->bytes);
	if (worker->region.slabs != NULL)
		region_heap_free(&worker->blocks, output, sizeof(*output));
	else
		free(output);
}

static short
needed_events(const struct connection *connection)
{
	short edge = connection->listener->worker->edge_events;
	/* If the connection is neither read nor written, its end is reported as
	 * EV_CLOSED, and a reset as EV_READ and EV_WRITE, of which only an edge is
	 * wanted. */
	short held = (short)(edge == 0 ? 0 : edge | EV_WRITE);
	switch ((enum connection_phase)connection->phase) {
	case CONNECTION_AWAITING_HEADER:
	case CONNECTION_TLS_HANDSHAKE:
	case CONNECTION_SERVING:
		return (short)(EV_PERSIST | (edge & EV_ET) |
		    (connection->reading_held            ? held
			    : connection->reading_paused ? 0
							 : EV_READ | edge) |
		    (connection->output != NULL && !connection->writing_held ? EV_WRITE
									     : 0));
	case CONNECTION_FINISHING:
		return (
		    short)(EV_PERSIST | (connection->writing_held ? held : EV_WRITE));
	case CONNECTION_LINGERING:
		break;
	}
	return EV_PERSIST | EV_READ;
}

/* Closes the connection on failure. */
static bool
add_event(struct connection *connection, short events)
{
	struct event *event = &connection->event;
	event_assign(event, connection->listener->worker->base, event_get_fd(event),
	    events, event_get_callback(event), connection);
	if (event_add(event, NULL) == 0)
		return true;
	connection_close(connection, CLOSE_SYSTEM_ERROR);
	return false;
}

bool
connection_watch(struct connection *connection)
{
	short events = needed_events(connection);
	if (event_get_events(&connection->event) == events)
		return true;
	event_del(&connection->event);
	return add_event(connection, events);
}

/* Not before the address is known. */
static void
count_for_address(const struct connection *connection, const struct open_change *change)
{
	const struct worker_listener *listener = connection->listener;
	if (address_limits_are_set(listener->config) &&
	    connection->phase != CONNECTION_AWAITING_HEADER)
		address_limits_change(listener->worker->limits.addresses,
		    listener_ledger_index(listener), &connection->peer, change);
}

/* Other processes read how near it is to limits.handshakes. */
static void
change_handshakes(struct worker *worker, int n)
{
	worker->handshake_count += (size_t)n;
	atomic_store_explicit(&worker->worker_ledger->own.handshakes,
	    worker->handshake_count, memory_order_relaxed);
}

/* For limits.max_connections, and limits.handshakes or the limits of its address. */
static void
count(const struct connection *connection, const struct open_change *change)
{
	struct worker *worker = connection->listener->worker;
	open_count_change(&worker->worker_ledger->open, change);
	if (connection_phase_is_handshake(connection->phase))
		change_handshakes(worker, change->connections);
	count_for_address(connection, change);
}

static void
count_leaving(const struct connection *connection, int n)
{
	count(connection, &(struct open_change){ .leaving = n });
}

void
connection_count_arriving(const struct connection *connection, int n)
{
	count(connection, &(struct open_change){ .arriving = n });
}

void
connection_log_closed(const struct address_compact *peer, enum close_reason reason)
{
	char text[ADDRESS_TEXT_MAX];
	if (log_get_level() >= LOG_LEVEL_DEBUG)
		log_debug("[connection_closed peer reason] connection %s closed: %s",
		    address_format_compact(peer, text), close_reasons[reason].name);
}

static void
end_tls(struct connection *connection, enum close_reason reason)
{
	if (connection->phase == CONNECTION_TLS_HANDSHAKE)
		ledger_count(
		    connection->listener->block, LEDGER_TLS_HANDSHAKES_FAILED, 1);
	else if (reason != CLOSE_CONVERSATION_RESET && reason != CLOSE_RESET)
		tls_transport_end_at_close(connection);
}

void
connection_close(struct connection *connection, enum close_reason reason)
{
	struct worker_listener *listener = connection->listener;
	struct worker *worker = listener->worker;
	connection_log_closed(&connection->peer, reason);
	if (listener->is_witness)
		witness_state_on_close(connection, reason);
	if (connection->phase == CONNECTION_LINGERING)
		worker->lingering_count--;
	bool was_received = connection->was_received;
	int fd = connection_fd(connection);
	if (listener->address.is_mptcp)
		ledger_count(
		    listener->block, LEDGER_MPTCP_SUBFLOWS, mptcp_subflows(fd));
	event_del(&connection->event);
	if (connection->tls != NULL)
		end_tls(connection, reason);
	crash_record_close_begin(listener, fd, reason, connection);
	if (reason == CLOSE_CONVERSATION_RESET)
		transport_reset(fd);
	else if (was_received)
		channel_discard_fds(&fd, 1);
	else
		close(fd);
	ledger_count(
	    listener->block, LEDGER_BYTES_DROPPED, connection_queued_bytes(connection));
	ledger_count_closed(listener->block, reason);
	connection_free(connection);
	crash_record_close_end(worker->record);
}

void
connection_refuse(struct connection *connection, enum close_reason reason)
{
	const struct linger reset = { .l_onoff = 1 };
	setsockopt(
	    connection_fd(connection), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	connection_close(connection, reason);
}

/* Callback of the connection's phase; the events are the same in all that follow each
 * other, so that registering them again would only cost two system calls. */
static event_callback_fn
callback_of(const struct connection *connection)
{
	const struct worker_listener *listener = connection->listener;
	if (connection->phase == CONNECTION_AWAITING_HEADER)
		return listener->on_header_event;
	if (connection->phase == CONNECTION_TLS_HANDSHAKE)
		return listener->on_handshake_event;
	bool is_own = connection->tls == NULL || listener->faults.count > 0 ||
	    listener->is_witness;
	return is_own ? listener->on_event : listener->on_tls_event;
}

void
connection_set_callback(struct connection *connection)
{
	struct event *event = &connection->event;
	event_assign(event, connection->listener->worker->base, event_get_fd(event),
	    event_get_events(event), callback_of(connection), connection);
}

static void
enter_phase(struct connection *connection, enum connection_phase phase)
{
	struct worker *worker = connection->listener->worker;
	bool was_handshake = connection_phase_is_handshake(connection->phase);
	if (was_handshake && !connection_phase_is_handshake((uint8_t)phase))
		change_handshakes(worker, -1);
	connection->phase = (uint8_t)phase;
	connection->active_ms = worker->timeouts.now_ms;
	if (was_handshake)
		connection->event.ev_evcallback.evcb_cb_union.evcb_callback =
		    callback_of(connection);
}

void
connection_set_peer(struct connection *connection, const struct address_compact *peer)
{
	struct worker_listener *listener = connection->listener;
	connection->peer = *peer;
	enter_phase(connection,
	    listener->config->tls.context != NULL ? CONNECTION_TLS_HANDSHAKE
						  : CONNECTION_SERVING);
	count_for_address(connection, &(struct open_change){ .connections = 1 });
}

void
connection_serve(struct connection *connection)
{
	enter_phase(connection, CONNECTION_SERVING);
}

void
connection_free(struct connection *connection)
{
	struct worker *worker = connection->listener->worker;
	event_del(&connection->event);
	bool is_arriving = connection->was_received && !connection->is_recorded;
	count(connection,
	    &(struct open_change){ .connections = -1,
		.leaving = connection->is_in_flight ? -1 : 0,
		.arriving = is_arriving ? -1 : 0 });
	fault_state_destroy(connection);
	tls_state_destroy(connection);
	connection_destroy_output(connection);
	buffer_release(&connection->input);
	buffer_release(&connection->about);
	pauses_clear(&worker->pauses, &connection->pause_place);
	struct ledger_block *block = connection->listener->block;
	connection_pool_free(&worker->connections, connection);
	ledger_add_open(block, -1);
}

bool
connection_linger(struct connection *connection, enum close_reason reason)
{
	struct worker *worker = connection->listener->worker;
	if (transport_finish(&connection->stream) < 0) {
		connection_close(connection, reason);
		return false;
	}
	connection->reason = (uint8_t)reason;
	enter_phase(connection, CONNECTION_LINGERING);
	worker->lingering_count++;
	return connection_watch(connection);
}

bool
connection_finish_now(struct connection *connection)
{
	enum close_reason reason = connection->reason;
	if (connection->tls != NULL && reason != CLOSE_CONVERSATION_RESET &&
	    !tls_transport_end(connection))
		return connection_watch(connection);
	if (reason == CLOSE_CONVERSATION_RESET ||
	    close_reasons[reason].peer_has_closed) {
		connection_close(connection, reason);
		return false;
	}
	return connection_linger(connection, reason);
}

bool
connection_finish(struct connection *connection, enum close_reason reason)
{
	buffer_release(&connection->input);
	connection->phase = CONNECTION_FINISHING;
	connection->reason = reason;
	if (connection->output == NULL)
		return connection_finish_now(connection);
	return connection_watch(connection);
}

/* Creates a connection that is not watched yet; NULL with ENOMEM. */
static struct connection *
create(struct worker_listener *listener, int fd, enum connection_phase phase)
{
	struct worker *worker = listener->worker;
	struct connection *connection = connection_pool_alloc(&worker->connections);
	if (connection == NULL)
		return NULL;
	connection->listener = listener;
	connection->stream = (struct stream){ fd, listener->transport };
	connection->socket = (uint16_t)(listener - worker->accept.listeners);
	connection->active_ms = worker->timeouts.now_ms;
	connection->phase = (uint8_t)phase;
	ledger_add_open(listener->block, 1);
	event_assign(&connection->event, worker->base, fd, needed_events(connection),
	    callback_of(connection), connection);
	return connection;
}

struct connection *
connection_open(struct worker_listener *listener, int fd, const struct address *peer)
{
	struct connection *connection =
	    create(listener, fd, connection_first_phase(listener->config));
	if (connection == NULL) {
		ledger_count_closed(listener->block, CLOSE_NO_MEMORY);
		close(fd);
		return NULL;
	}
	address_compact(peer, &connection->peer);
	/* All connections of a process would be the same to faults and conversations.
	 */
	if (connection->peer.family == AF_UNIX)
		connection->peer.port =
		    (uint16_t)ledger_read(listener->block, LEDGER_CONNECTIONS_ACCEPTED);
	count(connection, &(struct open_change){ .connections = 1 });
	connection->is_recorded = true;
	enum close_reason reason = CLOSE_SYSTEM_ERROR;
	if (listener->keeps_about && whoami_state_create(connection) < 0)
		reason = CLOSE_NO_MEMORY;
	else if (event_add(&connection->event, NULL) == 0)
		return connection;
	connection_close(connection, reason);
	return NULL;
}

void
connection_freeze(struct connection *connection)
{
	connection->frozen = connection->is_in_flight = true;
	count_leaving(connection, 1);
	event_del(&connection->event);
}

bool
connection_resume(struct connection *connection)
{
	if (connection->is_in_flight)
		count_leaving(connection, -1);
	connection->frozen = connection->is_in_flight = false;
	if (connection->phase == CONNECTION_LINGERING)
		connection->listener->worker->lingering_count++;
	return add_event(connection, needed_events(connection));
}

void
connection_transferred(struct connection *connection)
{
	int fd = connection_fd(connection);
	ledger_count(connection->listener->block, LEDGER_CONNECTIONS_MOVED_OUT, 1);
	if (connection->listener->is_witness)
		witness_state_on_moved(connection);
	connection_free(connection);
	channel_discard_fds(&fd, 1);
}

struct connection *
connection_install(
    struct worker_listener *listener, int fd, const struct transfer_record *record)
{
	/* TLS may have been switched off before it began. */
	bool is_plain = record->phase == CONNECTION_TLS_HANDSHAKE &&
	    listener->config->tls.context == NULL;
	struct connection *connection =
	    create(listener, fd, is_plain ? CONNECTION_SERVING : record->phase);
	if (connection == NULL)
		return NULL;
	connection->frozen = connection->was_received = true;
	connection->active_ms -= record->idle_ms;
	connection->searched = record->searched;
	connection->skip = record->skip;
	connection->received = record->received;
	connection->sent = record->sent;
	connection->deaths = record->deaths;
	connection->reason = record->reason;
	connection->reading_paused = record->reading_paused != 0;
	connection->peer.family = record->peer_family;
	connection->peer.port = record->peer_port;
	memcpy(connection->peer.bytes, record->peer, sizeof(record->peer));
	count(connection, &(struct open_change){ .connections = 1, .arriving = 1 });
	if (record->output_bytes == 0)
		return connection;
	if (connection_create_output(connection) == NULL) {
		connection_free(connection);
		return NULL;
	}
	connection->output->replies = record->replies;
	return connection;
}

enum close_reason
connection_reason_of(int error)
{
	switch (error) {
	case ECONNRESET:
	case EPIPE:
		return CLOSE_RESET;
	case ETIMEDOUT:
	/* A retransmission timeout reports the last ICMP error (icmp(7)). */
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ECONNREFUSED:
	case EHOSTDOWN:
	case ENETDOWN:
	case ENONET:
	case ENOPROTOOPT:
		return CLOSE_UNREACHABLE;
	case ENOMEM:
	case ENOBUFS:
		return CLOSE_NO_MEMORY;
	/* of tls_transport_receive() */
	case ECONNABORTED:
		return CLOSE_TLS_TRUNCATED;
	case EPROTO:
		return CLOSE_TLS_ALERT;
	case EBADMSG:
		return CLOSE_TLS_BAD_RECORD;
	default:
		return CLOSE_SYSTEM_ERROR;
	}
}
