#include "worker/connection/connection_io.h"

#include <sys/socket.h>

#include <errno.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "worker/connection/connection.h"
#include "worker/connection/responder.h"
#include "worker/connection/tls_state.h"
#include "worker/connection/tls_transport.h"
#include "worker/connection/worker_state.h"
#include "worker/conversation/session.h"

static const uint8_t nothing[1];

/* Reads per wake-up, so that a flood on one socket does not starve the others. */
#define READS_PER_WAKEUP 4

enum close_reason
connection_io_reason(int error)
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

/* Sends bytes and returns how many the kernel took, or -1 with the connection closed:
 * `unqueued` bytes, which are not in the output, are then counted as dropped. */
static inline ssize_t
send_some(
    struct connection *connection, const uint8_t *data, size_t length, size_t unqueued)
{
	struct ledger_block *block = connection->listener->block;
	ssize_t n = transport_send(&connection->stream, data, length);
	if (n < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return 0;
		enum close_reason reason = connection_io_reason(errno);
		ledger_count(block, LEDGER_BYTES_DROPPED, unqueued);
		connection_close(connection, reason);
		return -1;
	}
	ledger_count(block, LEDGER_BYTES_SENT, (uint64_t)n);
	connection->sent += (uint64_t)n;
	return n;
}

/* Sends data, or queues what the kernel does not take; `replies` replies end in it.
 * False when the connection was closed. */
static bool
send_or_queue(
    struct connection *connection, const uint8_t *data, size_t length, uint64_t replies)
{
	struct ledger_block *block = connection->listener->block;
	if (connection->output == NULL) {
		ssize_t n = send_some(connection, data, length, length);
		if (n < 0)
			return false;
		if ((size_t)n == length) {
			ledger_count(block, LEDGER_REPLIES_SENT, replies);
			return true;
		}
		data += n;
		length -= (size_t)n;
	}
	if ((connection->output == NULL &&
		connection_create_output(connection) == NULL) ||
	    buffer_append(&connection->output->bytes, data, length) < 0) {
		ledger_count(block, LEDGER_BYTES_DROPPED, length);
		connection_close(connection, CLOSE_NO_MEMORY);
		return false;
	}
	connection->output->replies += replies;
	if (connection_is_over_output_limit(connection))
		connection->reading_paused = true;
	return connection_watch(connection);
}

/* Of `length` bytes of replies, those that a worker which has died had sent already. */
static size_t
take_skipped(struct connection *connection, size_t length)
{
	size_t skipped = connection->skip < length ? connection->skip : length;
	connection->skip -= (uint32_t)skipped;
	return skipped;
}

/* Sends what the responder put into the batch. */
static bool
send_batch(struct connection *connection)
{
	struct batch *batch = &connection->listener->worker->batch;
	size_t skipped = take_skipped(connection, batch->length);
	size_t length = batch->length - skipped;
	uint64_t replies = batch->replies;
	batch->length = 0;
	batch->replies = 0;
	if (length == 0) {
		/* Replies of no bytes (`fixed=`) need no send. */
		ledger_count(connection->listener->block, LEDGER_REPLIES_SENT, replies);
		return true;
	}
	bool is_open =
	    send_or_queue(connection, batch->data + skipped, length, replies);
	responder_trim(batch);
	return is_open;
}

/* Ends our stream, unless something is queued. */
static bool
half_close(struct connection *connection)
{
	if (connection->output != NULL)
		return true;
	if (connection->tls != NULL && !tls_transport_end(connection))
		return connection_watch(connection);
	if (transport_finish(&connection->stream) < 0) {
		connection_close(connection, CLOSE_SYSTEM_ERROR);
		return false;
	}
	connection->listener->worker->session.half_closes = false;
	return true;
}

static void
log_mismatch(const struct connection *connection, const struct session *session)
{
	char mismatch[1024], peer[ADDRESS_TEXT_MAX];
	player_describe_mismatch(session->side, &session->player, &session->mismatch,
	    mismatch, sizeof(mismatch));
	log_warnx("[unexpected_message reason listener peer mismatch] "
		  "%s: %s: conversation with %s: %s",
	    close_reasons[session->reason].name, connection->listener->name,
	    address_format_compact(&connection->peer, peer), mismatch);
}

/* The conversation is over, or the peer has left it. */
static bool
end_session(struct connection *connection)
{
	const struct session *session = &connection->listener->worker->session;
	enum close_reason reason = session->reason;
	if (session->has_mismatch && reason != CLOSE_TRUNCATED_MESSAGE)
		log_mismatch(connection, session);
	return connection_finish(connection, reason);
}

/* Sends the batch, then acts on the status that came with it. */
static bool
send_and_check(struct connection *connection, enum responder_status status)
{
	if (!send_batch(connection))
		return false;
	switch (status) {
	case RESPONDER_DONE:
	case RESPONDER_BATCH_FULL:
		break;
	case RESPONDER_TOO_LONG:
		return connection_finish(connection, CLOSE_MESSAGE_TOO_LONG);
	case RESPONDER_TRUNCATED:
		return connection_finish(connection, CLOSE_TRUNCATED_MESSAGE);
	case RESPONDER_HALF_CLOSE:
		return half_close(connection);
	case RESPONDER_ENDED:
		return end_session(connection);
	case RESPONDER_NO_MEMORY:
		connection_close(connection, CLOSE_NO_MEMORY);
		return false;
	}
	return true;
}

/* Answers the messages in data[length] until too much output is queued. */
static bool
answer_messages(
    struct connection *connection, const uint8_t *data, size_t length, size_t *ret_used)
{
	enum responder_status status = RESPONDER_BATCH_FULL;
	*ret_used = 0;
	while (status == RESPONDER_BATCH_FULL &&
	    !connection_is_over_output_limit(connection)) {
		size_t used;
		status = responder_answer_messages(
		    connection, data + *ret_used, length - *ret_used, &used);
		*ret_used += used;
		if (!send_and_check(connection, status))
			return false;
	}
	if (status == RESPONDER_TOO_LONG)
		*ret_used = length;
	return true;
}

static bool
is_at_end(const struct connection *connection)
{
	uint8_t byte;
	if (connection->tls != NULL && connection->tls->end != TLS_END_NONE)
		return true;
	return recv(connection->stream.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* All input that was read has been processed by a worker that lives: it is not what
 * killed another. Only the end of file is not in the input; it remains a suspect. */
static void
forget_deaths(struct connection *connection)
{
	if (connection->deaths == 0)
		return;
	if (connection->input != NULL &&
	    (connection_is_over_output_limit(connection) || is_at_end(connection)))
		return;
	connection->deaths = 0;
}

/* Keeps the session and what it has not played, data[length]; reads on unless it has to
 * wait for something else than input. */
static bool
keep_session(struct connection *connection, const uint8_t *data, size_t length)
{
	struct worker *worker = connection->listener->worker;
	const struct session *session = &worker->session;
	uint64_t pause_end_ns = session->pause_end_ns;
	if (session_save(session, &connection->input, data, length) < 0 ||
	    (pause_end_ns != 0 &&
		pauses_set(&worker->pauses, connection, &connection->pause_place,
		    pause_end_ns) < 0)) {
		connection_close(connection, CLOSE_NO_MEMORY);
		return false;
	}
	bool is_over_limit = connection_is_over_output_limit(connection);
	connection->reading_paused = is_over_limit || pause_end_ns != 0 ||
	    session->half_closes || session->has_end;
	if (!is_over_limit && length == 0)
		forget_deaths(connection);
	return connection_watch(connection);
}

/* Plays the open session with data[length], until it waits or too much output is
 * queued. */
static bool
play_session(struct connection *connection, const uint8_t *data, size_t length)
{
	const struct worker *worker = connection->listener->worker;
	size_t used = 0;
	enum responder_status status;
	do {
		size_t n;
		status = responder_play(connection, data + used, length - used, &n);
		used += n;
		if (!send_and_check(connection, status))
			return false;
	} while (!connection_is_over_output_limit(connection) &&
	    (status == RESPONDER_BATCH_FULL ||
		(status == RESPONDER_HALF_CLOSE && !worker->session.half_closes)));
	return connection->phase != CONNECTION_SERVING ||
	    keep_session(connection, data + used, length - used);
}

/* A number that no other connection to this listener from the same host has. */
static uint32_t
number_of(const struct connection *connection)
{
	const struct address_compact *peer = &connection->peer;
	uint32_t fold = 0;
	for (size_t i = 0; i < sizeof(peer->bytes); i++)
		fold = fold * 31 + peer->bytes[i];
	return (uint32_t)peer->port << 16 | (fold & 0xffff);
}

/* The session of the connection, in the worker. 0, or -1 with ENOMEM. */
static int
open_session(const struct connection *connection)
{
	const struct worker_listener *listener = connection->listener;
	struct session *session = &listener->worker->session;
	if (connection->input != NULL)
		return session_open(&listener->side, connection->input, session);
	session_init(&listener->side, number_of(connection), session);
	return 0;
}

/* Plays a conversation with the bytes that wait in the input, then with data[length],
 * and, if `is_end`, with the end of the peer's stream. */
static bool
play(struct connection *connection, const uint8_t *data, size_t length, bool is_end)
{
	const struct worker_listener *listener = connection->listener;
	struct session *session = &listener->worker->session;
	if (session_waiting_bytes(connection->input) > 0) {
		if (buffer_append(&connection->input, data, length) < 0) {
			connection_close(connection, CLOSE_NO_MEMORY);
			return false;
		}
		length = session_waiting_bytes(connection->input);
		data = connection->input->data + connection->input->end - length;
	}
	if (open_session(connection) < 0) {
		connection_close(connection, CLOSE_NO_MEMORY);
		return false;
	}
	if (is_end)
		session_set_end(session);
	pauses_clear(&listener->worker->pauses, &connection->pause_place);
	bool is_open = play_session(connection, data, length);
	session_close(session);
	return is_open;
}

/* Answers the messages in the input. */
static bool
answer_kept(struct connection *connection)
{
	struct buffer *input = connection->input;
	if (input == NULL)
		return true;
	if (listener_plays(connection->listener))
		return play(connection, nothing, 0, false);
	size_t used;
	if (!answer_messages(
		connection, input->data + input->start, buffer_length(input), &used))
		return false;
	buffer_consume(&connection->input, used);
	forget_deaths(connection);
	return true;
}

enum answer_status {
	ANSWER_CLOSED, /* the connection is closed */
	ANSWER_SENT,   /* bytes were sent, or wait in the output */
	ANSWER_NOTHING_SENT,
};

/* Answers input that has waited, and new bytes. */
static bool
answer_behind_kept(struct connection *connection, const uint8_t *data, size_t length)
{
	if (listener_plays(connection->listener))
		return play(connection, data, length, false);
	if (buffer_append(&connection->input, data, length) < 0) {
		connection_close(connection, CLOSE_NO_MEMORY);
		return false;
	}
	return answer_kept(connection);
}

/* Answers new bytes; keeps a partial message, and input that must wait for the output.
 * Not inlined: the bytewise path needs neither its locals nor their stack protector. */
__attribute__((noinline)) static enum answer_status
answer_and_keep(struct connection *connection, const uint8_t *data, size_t length)
{
	const struct ledger_block *block = connection->listener->block;
	uint64_t sent = ledger_read(block, LEDGER_BYTES_SENT);
	if (connection->input != NULL) {
		if (!answer_behind_kept(connection, data, length))
			return ANSWER_CLOSED;
	} else {
		size_t used = 0;
		if (!answer_messages(connection, data, length, &used))
			return ANSWER_CLOSED;
		if (buffer_append(&connection->input, data + used, length - used) < 0) {
			connection_close(connection, CLOSE_NO_MEMORY);
			return ANSWER_CLOSED;
		}
	}
	connection->deaths = 0;
	return connection->output != NULL ||
		ledger_read(block, LEDGER_BYTES_SENT) != sent
	    ? ANSWER_SENT
	    : ANSWER_NOTHING_SENT;
}

static inline enum answer_status
answer_new(struct connection *connection, uint8_t *data, size_t length)
{
	const struct worker_listener *listener = connection->listener;
	if (!listener->is_bytewise)
		return answer_and_keep(connection, data, length);
	uint64_t messages = responder_answer_bytewise(listener, data, length);
	return send_or_queue(connection, data, length, messages) ? ANSWER_SENT
								 : ANSWER_CLOSED;
}

bool
connection_io_answer(struct connection *connection, uint8_t *data, size_t length)
{
	if (listener_plays(connection->listener))
		return play(connection, data, length, false);
	return answer_new(connection, data, length) != ANSWER_CLOSED;
}

bool
connection_io_begin_session(struct connection *connection)
{
	const struct worker_listener *listener = connection->listener;
	if (session_begin(&listener->side, number_of(connection), &connection->input) ==
	    0)
		return true;
	connection_close(connection, CLOSE_NO_MEMORY);
	return false;
}

__attribute__((noinline)) static void
on_peer_closed(struct connection *connection)
{
	struct buffer *input = connection->input;
	size_t length = buffer_length(input);
	if (listener_plays(connection->listener)) {
		(void)play(connection, nothing, 0, true);
		return;
	}
	if (length > 0 &&
	    !send_and_check(connection,
		responder_answer_last(connection, input->data + input->start, length)))
		return;
	if (connection->phase == CONNECTION_SERVING)
		connection_finish(connection, CLOSE_PEER_CLOSED);
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

/* A reset may be the end of a pass. Not inlined, as answer_and_keep(). */
__attribute__((noinline)) static void
count_reset(const struct connection *connection)
{
	const struct worker_listener *listener = connection->listener;
	struct session *session = &listener->worker->session;
	uint64_t passes = 0;
	if (open_session(connection) < 0)
		return;
	session_take_reset(session, &passes);
	ledger_count(listener->block, LEDGER_MESSAGES_RECEIVED, passes);
	ledger_count(listener->block, LEDGER_REPLIES_SENT, passes);
	session_close(session);
}

/* No bytes were read: end of file, or an error. */
static void
on_nothing_read(struct connection *connection, ssize_t n)
{
	if (n == 0) {
		on_peer_closed(connection);
	} else if (errno != EAGAIN) {
		enum close_reason reason = connection_io_reason(errno);
		if (reason == CLOSE_RESET && listener_plays(connection->listener))
			count_reset(connection);
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
		ssize_t n =
		    send_some(connection, output->bytes->data + output->bytes->start,
			buffer_length(output->bytes), 0);
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
		if (!answer_kept(connection))
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
		on_peer_closed(connection);
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

/* Answers the input of a connection whose worker died while it processed that. A
 * partial message is completed by the next read. */
static bool
replay(struct connection *connection)
{
	struct buffer *input = connection->input;
	if (connection->phase == CONNECTION_FINISHING && connection->output == NULL)
		return connection_finish_now(connection);
	if (listener_plays(connection->listener))
		return connection->phase != CONNECTION_SERVING ||
		    connection_is_over_output_limit(connection) ||
		    play(connection, nothing, 0, false);
	if (input == NULL || connection->phase != CONNECTION_SERVING ||
	    connection->reading_paused)
		return true;
	if (!connection->listener->is_bytewise)
		return answer_kept(connection);
	uint8_t *data = input->data + input->start;
	size_t length = buffer_length(input);
	uint64_t messages =
	    responder_answer_bytewise(connection->listener, data, length);
	size_t skipped = take_skipped(connection, length);
	if (!send_or_queue(connection, data + skipped, length - skipped, messages))
		return false;
	buffer_release(&connection->input);
	return true;
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

/* True if the replies to all input that was read have been made. */
static bool
has_answered_all(const struct connection *connection)
{
	if (!listener_plays(connection->listener))
		return connection->input == NULL;
	return connection->phase == CONNECTION_SERVING &&
	    session_waiting_bytes(connection->input) == 0 && !is_at_end(connection);
}

bool
connection_io_replay(struct connection *connection)
{
	struct worker *worker = connection->listener->worker;
	/* A new conversation has no input yet, for which crash_record_begin() would. */
	region_heap_settle(&worker->blocks);
	crash_record_begin_any(connection);
	bool is_open = open_kept(connection) && replay(connection);
	if (is_open && connection->input == NULL)
		connection->deaths = 0;
	/* More was sent than the replies have bytes. */
	if (is_open && connection->skip > 0 && has_answered_all(connection)) {
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
