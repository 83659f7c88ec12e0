#include "worker/proxy_phase.h"

#include <errno.h>

#include "lib/log.h"
#include "net/proxy_header.h"
#include "worker/admission.h"
#include "worker/connection/connection.h"
#include "worker/connection/connection_answer.h"
#include "worker/connection/connection_io.h"
#include "worker/connection/whoami_state.h"
#include "worker/connection/worker_state.h"
#include "worker/faults/fault_injection.h"
#include "worker/tls_phase.h"
#include "worker/witness/witness_serve.h"

/* A reload may have set proxy_protocol to off meanwhile: the balancer sends the header
 * that it was asked for then. */
static unsigned
expected_versions(const struct connection *connection)
{
	enum proxy_versions versions = connection->listener->config->proxy_protocol;
	return versions == PROXY_OFF ? PROXY_ANY : versions;
}

static enum proxy_status
parse(const struct connection *connection, const uint8_t *data, size_t length,
    struct proxy_header *ret, const char **ret_error)
{
	return proxy_header_parse(
	    data, length, expected_versions(connection), ret, ret_error);
}

/* True if nothing has come, or the header of a health check. */
static bool
is_health_check(const struct connection *connection)
{
	const struct buffer *input = connection->input;
	struct proxy_header header;
	const char *error;
	return input == NULL ||
	    (parse(connection, input->data + input->start, buffer_length(input),
		 &header, &error) == PROXY_COMPLETE &&
		header.is_local);
}

static void
log_invalid(const struct connection *connection, const char *error)
{
	char text[ADDRESS_TEXT_MAX];
	log_warnx("[proxy_header_invalid listener peer reason] "
		  "%s: closing the connection of %s: %s",
	    connection->listener->name, address_format_compact(&connection->peer, text),
	    error);
}

static void
log_announced(const struct connection *connection, const struct address_compact *peer)
{
	char text[ADDRESS_TEXT_MAX], via[ADDRESS_TEXT_MAX];
	if (log_get_level() >= LOG_LEVEL_DEBUG)
		log_debug(
		    "[proxy_header peer via] connection %s: by PROXY header of %s",
		    address_format_compact(peer, text),
		    address_format_compact(&connection->peer, via));
}

/* Serves the connection as one of the client that the header (in data) announces, or of
 * the peer if it announces none. False when it was refused. */
static bool
serve(struct connection *connection, const struct proxy_header *header,
    const uint8_t *data, bool is_replay)
{
	struct address_compact peer = connection->peer;
	if (header->family == PROXY_TCP4 || header->family == PROXY_TCP6)
		address_compact(&header->source, &peer);
	enum close_reason reason =
	    admission_check_announced(connection->listener, &peer, is_replay);
	log_announced(connection, &peer);
	if (reason == CLOSE_NONE &&
	    whoami_state_add_header(connection, data, header->length) < 0)
		reason = CLOSE_NO_MEMORY;
	if (reason == CLOSE_NONE) {
		connection_set_peer(connection, &peer);
		return true;
	}
	connection->peer = peer; /* the one that is logged */
	connection_refuse(connection, reason);
	return false;
}

enum step { STEP_WAIT, STEP_CLOSED, STEP_SERVED };

/* Acts on the header in data[length], all bytes so far; *ret_rest bytes are behind it.
 */
static enum step
take_header(struct connection *connection, const uint8_t *data, size_t length,
    bool is_replay, size_t *ret_rest)
{
	struct proxy_header header;
	const char *error;
	switch (parse(connection, data, length, &header, &error)) {
	case PROXY_PARTIAL:
		return STEP_WAIT;
	case PROXY_INVALID:
		log_invalid(connection, error);
		connection_refuse(connection, CLOSE_PROXY_HEADER_INVALID);
		return STEP_CLOSED;
	case PROXY_COMPLETE:
		break;
	}
	*ret_rest = length - header.length;
	if (header.is_local && *ret_rest == 0)
		return STEP_WAIT;
	return serve(connection, &header, data, is_replay) ? STEP_SERVED : STEP_CLOSED;
}

/* Takes `length` new bytes, which lie in worker->input. */
static enum step
take_bytes(struct connection *connection, uint8_t *data, size_t length)
{
	const uint8_t *all = data;
	size_t rest = 0, kept = buffer_length(connection->input);
	if (kept > 0) {
		if (buffer_append(&connection->input, data, length) < 0) {
			connection_close(connection, CLOSE_NO_MEMORY);
			return STEP_CLOSED;
		}
		all = connection->input->data + connection->input->start;
	}
	enum step step = take_header(connection, all, kept + length, false, &rest);
	if (step == STEP_CLOSED)
		return step;
	connection->deaths = 0;
	if (step == STEP_WAIT) {
		if (kept > 0 || buffer_append(&connection->input, data, length) == 0)
			return step;
		connection_close(connection, CLOSE_NO_MEMORY);
		return STEP_CLOSED;
	}
	buffer_release(&connection->input);
	if (connection->phase == CONNECTION_TLS_HANDSHAKE)
		return rest == 0 ||
			tls_phase_take(connection, data + length - rest, rest)
		    ? STEP_SERVED
		    : STEP_CLOSED;
	ledger_count(connection->listener->block, LEDGER_BYTES_RECEIVED, rest);
	bool plays = listener_plays(connection->listener);
	if (rest == 0 && !plays)
		return STEP_SERVED;
	data += length - rest;
	if (connection->listener->faults.count == 0 &&
	    !connection->listener->is_witness)
		return connection_io_answer(connection, data, rest) ? STEP_SERVED
								    : STEP_CLOSED;
	/* begin_serving() takes it. */
	if (buffer_append(&connection->input, data, rest) == 0)
		return STEP_SERVED;
	connection_close(connection, CLOSE_NO_MEMORY);
	return STEP_CLOSED;
}

/* No bytes were read: end of file, or an error. */
static void
on_nothing_read(struct connection *connection, ssize_t n)
{
	int error = errno;
	if (n < 0 && error == EAGAIN)
		return;
	if (is_health_check(connection))
		connection_close(connection, CLOSE_PROXY_HEALTH_CHECK);
	else if (n == 0) {
		log_invalid(
		    connection, "found the end of the stream inside a PROXY header");
		connection_close(connection, CLOSE_PROXY_HEADER_INVALID);
	} else
		connection_close(connection, connection_reason_of(error));
}

/* One read, of *ret_length bytes. STEP_WAIT: there may be more. */
static enum step
read_once(struct connection *connection, size_t *ret_length)
{
	struct worker *worker = connection->listener->worker;
	crash_record_begin_any(connection);
	ssize_t n =
	    transport_receive(&connection->stream, worker->input, WORKER_INPUT_BYTES);
	enum step step = STEP_WAIT;
	if (n > 0) {
		*ret_length = (size_t)n;
		connection->received += (uint64_t)n;
		step = take_bytes(connection, worker->input, (size_t)n);
	} else if (n == 0 || errno != EINTR) {
		on_nothing_read(connection, n);
		step = STEP_CLOSED; /* or nothing to read */
	}
	crash_record_commit(worker->record);
	return step;
}

/* The connection is served from now on. False when it is closed. */
static bool
begin_serving(struct connection *connection)
{
	if (connection->phase == CONNECTION_TLS_HANDSHAKE)
		return true;
	if (connection->listener->is_witness)
		return witness_serve_begin(connection);
	if (connection->listener->faults.count == 0)
		return true;
	return fault_injection_open(connection) && fault_injection_replay(connection);
}

/* Reads until the socket is empty, as events by edges demand; a header that does not
 * end is refused after PROXY_HEADER_MAX bytes. */
void
proxy_phase_on_event(evutil_socket_t fd, short what, void *argument)
{
	struct connection *connection = argument;
	size_t length = 0;
	enum step step;
	do {
		step = read_once(connection, &length);
	} while (step == STEP_WAIT);
	if (step == STEP_SERVED && !begin_serving(connection))
		return;
	if (step == STEP_SERVED && connection->phase == CONNECTION_TLS_HANDSHAKE) {
		tls_phase_on_event(fd, what, connection);
		return;
	}
	/* Bytes, an end or a reset that no other event reports (connection_io.c). */
	if (step == STEP_SERVED &&
	    (length == WORKER_INPUT_BYTES || (what & EV_CLOSED) != 0 ||
		(connection->sent == 0 && connection->output == NULL)))
		connection->listener->on_event(fd, what, connection);
}

bool
proxy_phase_replay(struct connection *connection)
{
	struct worker *worker = connection->listener->worker;
	struct buffer *input = connection->input;
	size_t rest = 0;
	if (connection->phase != CONNECTION_AWAITING_HEADER)
		return true;
	if (input == NULL)
		return false;
	crash_record_begin_any(connection);
	enum step step = take_header(
	    connection, input->data + input->start, buffer_length(input), true, &rest);
	if (step == STEP_WAIT)
		connection->deaths = 0;
	if (step == STEP_SERVED) {
		bool is_served = connection->phase == CONNECTION_SERVING;
		buffer_consume(&connection->input, buffer_length(input) - rest);
		if (is_served && listener_plays(connection->listener) &&
		    !connection_answer_begin_session(connection))
			step = STEP_CLOSED;
		if (is_served)
			ledger_count(
			    connection->listener->block, LEDGER_BYTES_RECEIVED, rest);
	}
	crash_record_commit(worker->record);
	return step == STEP_SERVED && begin_serving(connection);
}

void
proxy_phase_expire(struct connection *connection)
{
	struct worker *worker = connection->listener->worker;
	const struct buffer *input = connection->input;
	if (input == NULL || !is_health_check(connection)) {
		connection_refuse(connection, CLOSE_PROXY_HEADER_TIMEOUT);
		return;
	}
	const struct proxy_header local = { .is_local = true,
		.length = buffer_length(input) };
	crash_record_begin_any(connection);
	bool is_served = serve(connection, &local, input->data + input->start, false);
	if (is_served)
		buffer_release(&connection->input);
	bool plays = is_served && connection->phase == CONNECTION_SERVING &&
	    listener_plays(connection->listener) &&
	    connection_answer_begin_session(connection);
	crash_record_commit(worker->record);
	if (plays)
		(void)connection_io_replay(connection);
	else if (is_served)
		(void)begin_serving(connection);
}
