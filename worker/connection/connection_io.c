#include "worker/connection/connection_io.h"

#include <sys/socket.h>

#include <errno.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "worker/connection/connection.h"
#include "worker/connection/connection_answer.h"
#include "worker/connection/responder.h"
#include "worker/connection/tls_state.h"
#include "worker/connection/tls_transport.h"
#include "worker/connection/worker_state.h"
#include "worker/conversation/session.h"

/* Reads per wake-up, so that a flood on one socket does not starve the others. */
#define READS_PER_WAKEUP 4

static inline enum answer_status
answer_new(struct connection *connection, uint8_t *data, size_t length)
{
	const struct worker_listener *listener = connection->listener;
	if (!listener->is_bytewise)
		return connection_answer_new(connection, data, length);
	uint64_t messages = responder_answer_bytewise(listener, data, length);
	return connection_answer_send(connection, data, length, messages)
	    ? ANSWER_SENT
	    : ANSWER_CLOSED;
}

bool
connection_io_answer(struct connection *connection, uint8_t *data, size_t length)
{
	if (listener_plays(connection->listener))
		return connection_answer_play(connection, data, length, false);
	return answer_new(connection, data, length) != ANSWER_CLOSED;
}

/* Bounds a read so that queued output does not exceed limits.max_pending by a whole
 * read. */
static size_t
bytes_to_read(const struct connection *connection)
{
	if (connection->output == NULL)
		return WORKER_INPUT_BYTES;
	uint64_t allowed = connection->listener->worker->config->limits.max_pending +
	    1 - connection_queued_bytes(connection);
	return allowed < WORKER_INPUT_BYTES ? (size_t)allowed : WORKER_INPUT_BYTES;
}

/* No bytes were read: end of file, or an error. */
static void
on_nothing_read(struct connection *connection, ssize_t n)
{
	if (n == 0) {
		connection_answer_end(connection);
	} else if (errno != EAGAIN) {
		enum close_reason reason = connection_reason_of(errno);
		if (reason == CLOSE_RESET && listener_plays(connection->listener))
			connection_answer_reset(connection);
		connection_close(connection, reason);
	}
}

/* A read that does not fill the buffer has emptied the socket (epoll(7)). A second read
 * for each message would cost too much, so three exceptions are handled otherwise: a
 * half-close is reported by libevent (is_closed); a reset is found by a send, or by a
 * second read if nothing was sent; TCP urgent data is ignored. */
static void
on_readable(struct connection *connection, bool is_closed)
{
	struct worker *worker = connection->listener->worker;
	struct ledger_block *block = connection->listener->block;
	for (int i = 0; i < READS_PER_WAKEUP; i++) {
		size_t size = bytes_to_read(connection);
		crash_record_begin(worker->record, connection, block);
		ssize_t n = transport_receive(&connection->stream, worker->input, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			on_nothing_read(connection, n);
			crash_record_commit(worker->record);
			return;
		}
		connection->received += (uint64_t)n;
		connection->active_ms = worker->timeouts.now_ms;
		ledger_count(block, LEDGER_BYTES_RECEIVED, (uint64_t)n);
		enum answer_status status =
		    answer_new(connection, worker->input, (size_t)n);
		crash_record_commit(worker->record);
		if (status == ANSWER_CLOSED)
			return;
		bool may_have_more =
		    ((size_t)n == size || is_closed || status == ANSWER_NOTHING_SENT) &&
		    connection->phase == CONNECTION_SERVING &&
		    !connection->reading_paused;
		if (!may_have_more)
			return;
	}
	/* Other connections are served first. No new edge reports the remaining input,
	 * but adding the event again does; event_active() would run this one next. */
	if (worker->edge_events == 0)
		return;
	event_del(&connection->event);
	if (event_add(&connection->event, NULL) < 0)
		connection_close(connection, CLOSE_SYSTEM_ERROR);
}

void
connection_io_linger(struct connection *connection)
{
	struct worker *worker = connection->listener->worker;
	struct ledger_block *block = connection->listener->block;
	crash_record_begin_any(connection);
	/* With TLS, records: what is in them does not matter any more. */
	ssize_t n = recv(
	    connection_fd(connection), worker->input, WORKER_INPUT_BYTES, MSG_DONTWAIT);
	if (n > 0) {
		connection->received += (uint64_t)n;
		ledger_count(block,
		    connection->tls != NULL ? LEDGER_TLS_BYTES_RECEIVED
					    : LEDGER_BYTES_RECEIVED,
		    (uint64_t)n);
	}
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		connection_close(connection, connection->reason);
	crash_record_commit(worker->record);
}

/* The last queued reply is sent: the idle time starts now. */
static bool
on_output_sent(struct connection *connection)
{
	connection->active_ms = connection->listener->worker->timeouts.now_ms;
	ledger_count(connection->listener->block, LEDGER_REPLIES_SENT,
	    connection->output->replies);
	connection_destroy_output(connection);
	if (connection->phase == CONNECTION_FINISHING)
		return connection_finish_now(connection);
	return true;
}

static bool
flush(struct connection *connection)
{
	struct worker *worker = connection->listener->worker;
	struct output *output = connection->output;
	if (output->bytes != NULL) { /* else the end of TLS waits (tls_transport.h) */
		ssize_t n = connection_answer_send_queued(connection,
		    output->bytes->data + output->bytes->start,
		    buffer_length(output->bytes));
		if (n <= 0)
			return n == 0;
		output->progress_ms = worker->timeouts.now_ms;
		buffer_consume(&output->bytes, (size_t)n);
	}
	if (output->bytes == NULL && !on_output_sent(connection))
		return false;
	if (connection->phase != CONNECTION_SERVING)
		return true;
	if (connection->reading_paused &&
	    connection_queued_bytes(connection) <=
		worker->config->limits.max_pending / 2) {
		connection->reading_paused = false;
		if (!connection_answer_kept(connection))
			return false;
	}
	return connection_watch(connection);
}

bool
connection_io_flush(struct connection *connection)
{
	struct worker *worker = connection->listener->worker;
	crash_record_begin_any(connection);
	bool is_open = flush(connection);
	crash_record_commit(worker->record);
	return is_open;
}

/* The peer's data has ended, and the answers to all of it are made. */
static bool
on_tls_end(struct connection *connection)
{
	switch ((enum tls_end)connection->tls->end) {
	case TLS_END_NONE:
		return true;
	case TLS_END_CLOSED:
		connection_answer_end(connection);
		return false;
	case TLS_END_ALERT:
		connection_close(connection, CLOSE_TLS_ALERT);
		return false;
	case TLS_END_BAD:
		break;
	}
	/* The alert follows the replies. */
	connection_finish(connection, CLOSE_TLS_BAD_RECORD);
	return false;
}

/* Makes the records that were read input, which is answered as that of any connection.
 */
static bool
open_kept(struct connection *connection)
{
	if (connection->tls == NULL || connection->phase != CONNECTION_SERVING ||
	    tls_transport_open_kept(connection) == 0)
		return true;
	connection_close(connection, CLOSE_NO_MEMORY);
	return false;
}

static bool
may_read(const struct connection *connection)
{
	return connection->phase == CONNECTION_SERVING && !connection->reading_paused;
}

bool
connection_io_replay(struct connection *connection)
{
	struct worker *worker = connection->listener->worker;
	/* A new conversation has no input yet, for which crash_record_begin() would. */
	region_heap_settle(&worker->blocks);
	crash_record_begin_any(connection);
	bool is_open = open_kept(connection) && connection_answer_replay(connection);
	if (is_open && connection->input == NULL)
		connection->deaths = 0;
	/* More was sent than the replies have bytes. */
	if (is_open && connection->skip > 0 &&
	    connection_answer_is_complete(connection)) {
		connection_close(connection, CLOSE_SYSTEM_ERROR);
		is_open = false;
	}
	if (is_open && connection->tls != NULL && may_read(connection))
		is_open = on_tls_end(connection);
	crash_record_commit(worker->record);
	return is_open;
}

/* The batch of a transfer that it is part of may yet come back. */
#define FROZEN_RETRY_NS (10 * NS_PER_MS)

void
connection_io_on_pause_over(void *waiter)
{
	struct connection *connection = waiter;
	if (!connection->frozen) {
		(void)connection_io_replay(connection);
		return;
	}
	/* A place has just become free. */
	if (pauses_set(&connection->listener->worker->pauses, connection,
		&connection->pause_place, clock_now_ns() + FROZEN_RETRY_NS) < 0)
		log_debug("[pause_failed] conversation: cannot pause");
}

static void
on_tcp_event(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	struct connection *connection = argument;
	if (connection->phase == CONNECTION_LINGERING) {
		connection_io_linger(connection);
		return;
	}
	if ((what & EV_WRITE) && connection->output != NULL &&
	    !connection_io_flush(connection))
		return;
	if ((what & (EV_READ | EV_CLOSED)) && connection->phase == CONNECTION_SERVING &&
	    !connection->reading_paused)
		on_readable(connection, (what & EV_CLOSED) != 0);
}

/* Nothing was read, for the reason errno if n < 0. False when the connection is closed
 * or finishes. */
static bool
on_no_tls_data(struct connection *connection, ssize_t n)
{
	if (n == 0 || errno == EBADMSG || errno == EPROTO)
		return on_tls_end(connection);
	if (errno == EAGAIN || errno == EINTR)
		return true;
	/* The end of the stream: the answers to what has come are sent. */
	if (errno == ECONNABORTED) {
		connection_finish(connection, CLOSE_TLS_TRUNCATED);
		return false;
	}
	on_nothing_read(connection, n);
	return false;
}

/* As on_readable(), with bytes out of records. */
static void
on_tls_readable(struct connection *connection, bool is_closed)
{
	struct worker *worker = connection->listener->worker;
	struct ledger_block *block = connection->listener->block;
	for (int i = 0; i < READS_PER_WAKEUP; i++) {
		bool has_more, is_open = true;
		crash_record_begin_any(connection);
		ssize_t n = tls_transport_receive(connection, worker->input, &has_more);
		enum answer_status status = ANSWER_SENT;
		if (n > 0) {
			connection->active_ms = worker->timeouts.now_ms;
			ledger_count(block, LEDGER_BYTES_RECEIVED, (uint64_t)n);
			status = answer_new(connection, worker->input, (size_t)n);
			is_open = status != ANSWER_CLOSED;
			has_more =
			    has_more || is_closed || status == ANSWER_NOTHING_SENT;
		} else {
			is_open = on_no_tls_data(connection, n);
		}
		if (is_open && may_read(connection) &&
		    connection->tls->end != TLS_END_NONE)
			is_open = on_tls_end(connection);
		crash_record_commit(worker->record);
		if (!is_open || !may_read(connection) || !has_more)
			return;
	}
	if (worker->edge_events == 0)
		return;
	event_del(&connection->event);
	if (event_add(&connection->event, NULL) < 0)
		connection_close(connection, CLOSE_SYSTEM_ERROR);
}

static void
on_tls_event(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	struct connection *connection = argument;
	if (connection->phase == CONNECTION_LINGERING) {
		connection_io_linger(connection);
		return;
	}
	if ((what & EV_WRITE) && connection->output != NULL &&
	    !connection_io_flush(connection))
		return;
	/* An end that had to wait until the queue was shorter has no event. */
	if (may_read(connection) &&
	    ((what & (EV_READ | EV_CLOSED)) != 0 ||
		connection->tls->end != TLS_END_NONE))
		on_tls_readable(connection, (what & EV_CLOSED) != 0);
}

static const struct {
	const struct transport *transport;
	event_callback_fn on_event;
} callbacks[] = { { &transport_tcp, on_tcp_event }, { &transport_tls, on_tls_event } };

event_callback_fn
connection_io_callback(const struct transport *transport)
{
	size_t i = 0;
	while (callbacks[i].transport != transport)
		i++;
	return callbacks[i].on_event;
}
