#include "worker/connection/connection_answer.h"

#include <sys/socket.h>

#include <errno.h>

#include "lib/log.h"
#include "worker/connection/connection.h"
#include "worker/connection/responder.h"
#include "worker/connection/tls_state.h"
#include "worker/connection/tls_transport.h"
#include "worker/connection/worker_state.h"
#include "worker/conversation/session.h"

static const uint8_t nothing[1];

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
		enum close_reason reason = connection_reason_of(errno);
		ledger_count(block, LEDGER_BYTES_DROPPED, unqueued);
		connection_close(connection, reason);
		return -1;
	}
	ledger_count(block, LEDGER_BYTES_SENT, (uint64_t)n);
	connection->sent += (uint64_t)n;
	return n;
}

ssize_t
connection_answer_send_queued(
    struct connection *connection, const uint8_t *data, size_t length)
{
	return send_some(connection, data, length, 0);
}

bool
connection_answer_send(
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

/* How many of `length` bytes of replies a worker that has died had sent already. */
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
	    connection_answer_send(connection, batch->data + skipped, length, replies);
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

bool
connection_answer_play(
    struct connection *connection, const uint8_t *data, size_t length, bool is_end)
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

bool
connection_answer_kept(struct connection *connection)
{
	struct buffer *input = connection->input;
	if (input == NULL)
		return true;
	if (listener_plays(connection->listener))
		return connection_answer_play(connection, nothing, 0, false);
	size_t used;
	if (!answer_messages(
		connection, input->data + input->start, buffer_length(input), &used))
		return false;
	buffer_consume(&connection->input, used);
	forget_deaths(connection);
	return true;
}

/* Answers input that has waited, and new bytes. */
static bool
answer_behind_kept(struct connection *connection, const uint8_t *data, size_t length)
{
	if (listener_plays(connection->listener))
		return connection_answer_play(connection, data, length, false);
	if (buffer_append(&connection->input, data, length) < 0) {
		connection_close(connection, CLOSE_NO_MEMORY);
		return false;
	}
	return connection_answer_kept(connection);
}

enum answer_status
connection_answer_new(struct connection *connection, const uint8_t *data, size_t length)
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

bool
connection_answer_begin_session(struct connection *connection)
{
	const struct worker_listener *listener = connection->listener;
	if (session_begin(&listener->side, number_of(connection), &connection->input) ==
	    0)
		return true;
	connection_close(connection, CLOSE_NO_MEMORY);
	return false;
}

void
connection_answer_end(struct connection *connection)
{
	struct buffer *input = connection->input;
	size_t length = buffer_length(input);
	if (listener_plays(connection->listener)) {
		(void)connection_answer_play(connection, nothing, 0, true);
		return;
	}
	if (length > 0 &&
	    !send_and_check(connection,
		responder_answer_last(connection, input->data + input->start, length)))
		return;
	if (connection->phase == CONNECTION_SERVING)
		connection_finish(connection, CLOSE_PEER_CLOSED);
}

void
connection_answer_reset(const struct connection *connection)
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

bool
connection_answer_replay(struct connection *connection)
{
	struct buffer *input = connection->input;
	if (connection->phase == CONNECTION_FINISHING && connection->output == NULL)
		return connection_finish_now(connection);
	if (listener_plays(connection->listener))
		return connection->phase != CONNECTION_SERVING ||
		    connection_is_over_output_limit(connection) ||
		    connection_answer_play(connection, nothing, 0, false);
	if (input == NULL || connection->phase != CONNECTION_SERVING ||
	    connection->reading_paused)
		return true;
	if (!connection->listener->is_bytewise)
		return connection_answer_kept(connection);
	uint8_t *data = input->data + input->start;
	size_t length = buffer_length(input);
	uint64_t messages =
	    responder_answer_bytewise(connection->listener, data, length);
	size_t skipped = take_skipped(connection, length);
	if (!connection_answer_send(
		connection, data + skipped, length - skipped, messages))
		return false;
	buffer_release(&connection->input);
	return true;
}

bool
connection_answer_is_complete(const struct connection *connection)
{
	if (!listener_plays(connection->listener))
		return connection->input == NULL;
	return connection->phase == CONNECTION_SERVING &&
	    session_waiting_bytes(connection->input) == 0 && !is_at_end(connection);
}
