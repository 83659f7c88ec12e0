#include "worker/tls_phase.h"

#include <sys/socket.h>

#include <errno.h>

#include "lib/log.h"
#include "net/tls/tls_handshake.h"
#include "worker/connection/connection.h"
#include "worker/connection/connection_answer.h"
#include "worker/connection/connection_io.h"
#include "worker/connection/tls_state.h"
#include "worker/connection/whoami_state.h"
#include "worker/connection/worker_state.h"
#include "worker/faults/fault_injection.h"
#include "worker/witness/witness_serve.h"

static enum close_reason
reason_of(enum tls_failure failure)
{
	switch (failure) {
	case TLS_FAILURE_NOT_TLS:
		return CLOSE_TLS_NOT_TLS;
	case TLS_FAILURE_VERSION:
	case TLS_FAILURE_SUITE:
	case TLS_FAILURE_ALPN:
		return CLOSE_TLS_NO_COMMON;
	case TLS_FAILURE_NO_CERTIFICATE:
	case TLS_FAILURE_EXPIRED:
	case TLS_FAILURE_NAME:
	case TLS_FAILURE_SELF_SIGNED:
	case TLS_FAILURE_UNTRUSTED:
	case TLS_FAILURE_PIN:
	case TLS_FAILURE_CERTIFICATE:
		return CLOSE_TLS_CLIENT_CERTIFICATE;
	case TLS_FAILURE_ALERT:
		return CLOSE_TLS_ALERT;
	default:
		return CLOSE_TLS_HANDSHAKE;
	}
}

static void
log_failure(const struct connection *connection, const char *reason)
{
	char peer[ADDRESS_TEXT_MAX];
	log_warnx("[tls_handshake_failed listener peer reason] "
		  "%s: TLS handshake with %s failed: %s",
	    connection->listener->name, address_format_compact(&connection->peer, peer),
	    reason);
}

/* Logs why the handshake failed, and closes the connection, when the peer has got the
 * alert. Until then it costs no memory of the library: limits.handshakes does not count
 * it any more. */
static void
fail(struct connection *connection)
{
	struct tls_failure_facts failure;
	struct tls_state *tls = connection->tls;
	struct ledger_block *block = connection->listener->block;
	tls_handshake_failure(tls->handshake, &failure);
	log_failure(connection, failure.reason);
	enum close_reason reason = reason_of(failure.kind);
	if (failure.kind == TLS_FAILURE_CUT || failure.kind == TLS_FAILURE_INTERNAL) {
		connection_close(connection, reason);
		return;
	}
	tls_handshake_destroy(tls->handshake);
	tls->handshake = NULL;
	/* A close with unread input would be a reset, which destroys the alert. */
	connection_destroy_output(connection);
	if (connection_linger(
		connection, reason)) /* else it was counted at the close */
		ledger_count(block, LEDGER_TLS_HANDSHAKES_FAILED, 1);
}

/* 0 with *ret_is_empty, or -1 with errno. */
static int
flush(struct connection *connection)
{
	struct output *output = connection->output;
	struct ledger_block *block = connection->listener->block;
	while (output != NULL && output->bytes != NULL) {
		ssize_t n = send(connection_fd(connection),
		    output->bytes->data + output->bytes->start,
		    buffer_length(output->bytes), MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -1;
		connection->sent += (uint64_t)n;
		ledger_count(block, LEDGER_TLS_BYTES_SENT, (uint64_t)n);
		buffer_consume(&output->bytes, (size_t)n);
	}
	connection_destroy_output(connection);
	return 0;
}

static int
begin(struct connection *connection)
{
	struct tls_context *context = connection->listener->config->tls.context;
	if (tls_state_create(connection) < 0)
		return -1;
	connection->tls->is_handshaking = true;
	connection->tls->handshake = tls_handshake_create_server(context);
	return connection->tls->handshake == NULL ? -1 : 0;
}

/* The handshake is complete: keeps the session and the bytes behind the handshake. */
static int
complete(struct connection *connection, const uint8_t *data, size_t length)
{
	struct tls_state *tls = connection->tls;
	struct tls_handshake *handshake = tls->handshake;
	struct tls_facts facts;
	tls_handshake_facts(handshake, &facts);
	if (whoami_state_add_tls(connection, handshake) < 0 ||
	    buffer_append(&tls->partial, data, length) < 0 ||
	    tls_handshake_take(handshake, &tls->session) < 0)
		return -1;
	ledger_count(connection->listener->block,
	    facts.is_resumed ? LEDGER_TLS_HANDSHAKES_RESUMED
			     : LEDGER_TLS_HANDSHAKES_FULL,
	    1);
	tls_handshake_destroy(handshake);
	tls->handshake = NULL;
	tls->is_handshaking = false;
	return 0;
}

bool
tls_phase_take(struct connection *connection, const uint8_t *data, size_t length)
{
	size_t used;
	ledger_count(connection->listener->block, LEDGER_TLS_BYTES_RECEIVED, length);
	if (connection->tls == NULL && begin(connection) < 0) {
		connection_close(connection, CLOSE_NO_MEMORY);
		return false;
	}
	struct tls_state *tls = connection->tls;
	if (connection->output == NULL &&
	    connection_create_output(connection) == NULL) {
		connection_close(connection, CLOSE_NO_MEMORY);
		return false;
	}
	enum tls_handshake_status status = tls_handshake_step(
	    tls->handshake, data, length, &connection->output->bytes, &used);
	if (status == TLS_HANDSHAKE_DONE &&
	    complete(connection, data + used, length - used) < 0) {
		connection_close(connection, CLOSE_NO_MEMORY);
		return false;
	}
	if (flush(connection) < 0 && status != TLS_HANDSHAKE_FAILED) {
		connection_close(connection, connection_reason_of(errno));
		return false;
	}
	if (status == TLS_HANDSHAKE_FAILED) {
		fail(connection);
		return false;
	}
	/* tls->partial holds the following records of one read. Later ones wait in the
	 * socket until the end of the handshake is sent. */
	connection->reading_paused =
	    status == TLS_HANDSHAKE_DONE && connection->output != NULL;
	return connection_watch(connection);
}

/* No bytes were read: end of file, or an error. False when the connection was closed.
 */
static bool
on_nothing_read(struct connection *connection, ssize_t n)
{
	int error = n == 0 ? 0 : errno;
	if (n < 0 && (error == EAGAIN || error == EINTR))
		return true;
	if (connection->tls != NULL && connection->tls->is_handshaking) {
		tls_handshake_cut(connection->tls->handshake, error);
		fail(connection);
	} else {
		connection_close(connection,
		    n == 0 ? CLOSE_PEER_CLOSED : connection_reason_of(error));
	}
	return false;
}

/* Reads once. *ret_more: there may be more. */
static bool
read_once(struct connection *connection, bool *ret_more)
{
	struct worker *worker = connection->listener->worker;
	*ret_more = false;
	crash_record_begin_any(connection);
	ssize_t n = recv(
	    connection_fd(connection), worker->input, WORKER_INPUT_BYTES, MSG_DONTWAIT);
	bool is_open;
	if (n > 0) {
		*ret_more = true;
		connection->received += (uint64_t)n;
		is_open = tls_phase_take(connection, worker->input, (size_t)n);
	} else {
		is_open = on_nothing_read(connection, n);
	}
	crash_record_commit(worker->record);
	return is_open;
}

/* The connection is served from now on; what has come behind the handshake waits in
 * tls->partial. */
static void
serve(struct connection *connection, short what)
{
	struct worker *worker = connection->listener->worker;
	bool plays = listener_plays(connection->listener), is_open = true;
	crash_record_begin_any(connection);
	connection_serve(connection);
	connection->deaths = 0;
	if (plays)
		is_open = connection_answer_begin_session(connection);
	crash_record_commit(worker->record);
	worker_request_drain_check(worker); /* it can move now */
	if (!is_open)
		return;
	if (connection->listener->is_witness)
		is_open = witness_serve_begin(connection);
	else if (connection->listener->faults.count > 0)
		is_open = fault_injection_open(connection) &&
		    fault_injection_replay(connection);
	else if (plays)
		is_open = connection_io_replay(connection);
	if (is_open)
		event_get_callback (&connection->event)(
		    connection_fd(connection), (short)(what | EV_READ), connection);
}

static bool
is_complete(const struct connection *connection)
{
	return connection->tls != NULL && !connection->tls->is_handshaking &&
	    connection->output == NULL;
}

/* Sends what is unsent. False when the connection was closed. */
static bool
on_writable(struct connection *connection)
{
	struct worker *worker = connection->listener->worker;
	crash_record_begin_any(connection);
	bool is_open = flush(connection) == 0;
	if (connection->output == NULL)
		connection->reading_paused = false;
	if (!is_open)
		connection_close(connection, connection_reason_of(errno));
	crash_record_commit(worker->record);
	return is_open && connection_watch(connection);
}

void
tls_phase_on_event(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	struct connection *connection = argument;
	bool has_more = true;
	if (connection->phase == CONNECTION_LINGERING) {
		connection_io_linger(connection);
		return;
	}
	if ((what & EV_WRITE) && connection->output != NULL && !on_writable(connection))
		return;
	while (has_more && !connection->reading_paused && !is_complete(connection)) {
		if (!read_once(connection, &has_more))
			return;
	}
	if (is_complete(connection))
		serve(connection, what);
}

bool
tls_phase_replay(struct connection *connection)
{
	struct worker *worker = connection->listener->worker;
	struct buffer *input = connection->input;
	if (connection->phase != CONNECTION_TLS_HANDSHAKE)
		return true;
	if (input == NULL)
		return false;
	crash_record_begin_any(connection);
	connection->input = NULL;
	bool is_open = tls_phase_take(
	    connection, input->data + input->start, buffer_length(input));
	buffer_release(&input);
	if (is_open)
		connection->deaths = 0;
	crash_record_commit(worker->record);
	return false;
}

void
tls_phase_expire(struct connection *connection)
{
	if (connection->tls != NULL)
		log_failure(connection, "it was not complete after timeouts.handshake");
	connection_close(connection, CLOSE_TLS_HANDSHAKE_TIMEOUT);
}
