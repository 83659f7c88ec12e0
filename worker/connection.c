#include "worker/connection.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>

#include "lib/log.h"

#include "worker/respond.h"
#include "worker/state.h"

/* A wake-up reads this often at most, so that a flood on one socket starves no other.
 */
#define READS_PER_WAKEUP 4

int
connection_fd(const struct connection *connection)
{
	return event_get_fd(&connection->event);
}

static size_t
stuck_bytes(const struct connection *connection)
{
	return connection->output == NULL ? 0
					  : buffer_length(connection->output->bytes);
}

bool
connection_is_stuffed(const struct connection *connection)
{
	uint64_t limit = connection->listener->worker->config->limits.max_pending;
	return stuck_bytes(connection) > limit;
}

bool
connection_is_settled(const struct connection *connection)
{
	return connection->output == NULL && connection->input == NULL;
}

/* --- what is watched ----------------------------------------------------------------
 */

static void on_event(evutil_socket_t fd, short what, void *argument);

static short
wanted_events(const struct connection *connection)
{
	switch ((enum connection_phase)connection->phase) {
	case CONNECTION_SERVING:
		return (short)((connection->reading_paused ? 0 : EV_READ) |
		    (connection->output != NULL ? EV_WRITE : 0));
	case CONNECTION_FINISHING:
		return EV_WRITE;
	case CONNECTION_LINGERING:
		break;
	}
	return EV_READ;
}

/* Makes the loop watch what the connection's state wants. False when that failed and
 * the connection is closed. */
static bool
watch(struct connection *connection)
{
	struct event *event = &connection->event;
	short events = (short)(wanted_events(connection) | EV_PERSIST);
	if (event_get_events(event) == events)
		return true;
	int fd = event_get_fd(event);
	event_del(event);
	event_assign(event, connection->listener->worker->base, fd, events, on_event,
	    connection);
	if (event_add(event, NULL) == 0)
		return true;
	connection_close(connection, CLOSE_SYSTEM_ERROR);
	return false;
}

/* --- the end ------------------------------------------------------------------------
 */

static enum close_reason
reason_of_errno(void)
{
	switch (errno) {
	case ECONNRESET:
	case EPIPE:
		return CLOSE_RESET;
	case ETIMEDOUT:
	case EHOSTUNREACH:
	case ENETUNREACH:
		return CLOSE_UNREACHABLE;
	case ENOMEM:
	case ENOBUFS:
		return CLOSE_NO_MEMORY;
	default:
		return CLOSE_SYSTEM_ERROR;
	}
}

void
connection_close(struct connection *connection, enum close_reason reason)
{
	struct worker *worker = connection->listener->worker;
	if (log_get_level() >= LOG_LEVEL_DEBUG) {
		char text[ADDRESS_TEXT_MAX];
		log_debug("connection %s closed: %s",
		    peer_format(&connection->peer, text), close_reason_name(reason));
	}
	ledger_count(worker->block, LEDGER_BYTES_DROPPED, stuck_bytes(connection));
	ledger_count_closed(worker->block, reason);
	if (connection->phase == CONNECTION_LINGERING)
		worker->lingering--;
	int fd = connection_fd(connection);
	connection_forget(connection);
	close(fd);
}

void
connection_forget(struct connection *connection)
{
	struct worker *worker = connection->listener->worker;
	event_del(&connection->event);
	output_destroy(connection);
	buffer_release(&connection->input);
	pool_give(&worker->pool, connection);
	ledger_set_open(worker->block, worker->pool.count);
}

/* Everything owed is sent. */
static bool
finish_end(struct connection *connection)
{
	enum close_reason reason = connection->reason;
	bool peer_has_closed =
	    reason == CLOSE_PEER_CLOSED || reason == CLOSE_TRUNCATED_MESSAGE;
	if (peer_has_closed || shutdown(connection_fd(connection), SHUT_WR) < 0) {
		connection_close(connection, reason);
		return false;
	}
	struct worker *worker = connection->listener->worker;
	connection->phase = CONNECTION_LINGERING;
	connection->active_ms = worker->now_ms;
	worker->lingering++;
	return watch(connection);
}

bool
connection_finish(struct connection *connection, enum close_reason reason)
{
	buffer_release(&connection->input);
	connection->phase = CONNECTION_FINISHING;
	connection->reason = reason;
	if (connection->output == NULL)
		return finish_end(connection);
	return watch(connection);
}

/* --- sending ------------------------------------------------------------------------
 */

/* Gives bytes to the kernel. Returns how many it took, or -1 with the connection closed
 * (`owed` bytes were not sent and are not in the output). */
static ssize_t
send_some(
    struct connection *connection, const uint8_t *data, size_t length, size_t owed)
{
	struct worker *worker = connection->listener->worker;
	ssize_t n = send(connection_fd(connection), data, length, MSG_NOSIGNAL);
	if (n < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return 0;
		enum close_reason reason = reason_of_errno();
		ledger_count(worker->block, LEDGER_BYTES_DROPPED, owed);
		connection_close(connection, reason);
		return -1;
	}
	ledger_count(worker->block, LEDGER_BYTES_SENT, (uint64_t)n);
	return n;
}

bool
connection_send(
    struct connection *connection, const uint8_t *data, size_t length, uint64_t replies)
{
	struct worker *worker = connection->listener->worker;
	if (connection->output == NULL) {
		ssize_t n = send_some(connection, data, length, length);
		if (n < 0)
			return false;
		if ((size_t)n == length) {
			ledger_count(worker->block, LEDGER_REPLIES_SENT, replies);
			return true;
		}
		data += n;
		length -= (size_t)n;
	}
	if ((connection->output == NULL && output_create(connection) == NULL) ||
	    buffer_append(&connection->output->bytes, data, length) < 0) {
		ledger_count(worker->block, LEDGER_BYTES_DROPPED, length);
		connection_close(connection, CLOSE_NO_MEMORY);
		return false;
	}
	connection->output->replies += replies;
	if (connection_is_stuffed(connection))
		connection->reading_paused = true;
	return watch(connection);
}

/* --- receiving ----------------------------------------------------------------------
 */

/* Answers what is kept in the input. */
static bool
respond_kept(struct connection *connection)
{
	struct buffer *input = connection->input;
	if (input == NULL)
		return true;
	size_t used;
	if (!respond_messages(
		connection, input->data + input->start, buffer_length(input), &used))
		return false;
	buffer_consume(&connection->input, used);
	return true;
}

/* Answers what came, and keeps what is no whole message or must wait. */
static bool
respond_fresh(struct connection *connection, uint8_t *data, size_t length)
{
	size_t used = 0;
	bool kept = connection->input != NULL;
	if (!kept && !respond_messages(connection, data, length, &used))
		return false;
	if (buffer_append(&connection->input, data + used, length - used) < 0) {
		connection_close(connection, CLOSE_NO_MEMORY);
		return false;
	}
	return !kept || respond_kept(connection);
}

static void
on_peer_closed(struct connection *connection)
{
	struct buffer *input = connection->input;
	size_t length = buffer_length(input);
	if (length > 0 && !respond_rest(connection, input->data + input->start, length))
		return;
	if (connection->phase == CONNECTION_SERVING)
		connection_finish(connection, CLOSE_PEER_CLOSED);
}

static void
on_readable(struct connection *connection)
{
	struct worker *worker = connection->listener->worker;
	for (int i = 0; i < READS_PER_WAKEUP; i++) {
		ssize_t n = recv(
		    connection_fd(connection), worker->input, WORKER_INPUT_BYTES, 0);
		if (n < 0) {
			if (errno != EAGAIN && errno != EINTR)
				connection_close(connection, reason_of_errno());
			return;
		}
		if (n == 0) {
			on_peer_closed(connection);
			return;
		}
		connection->active_ms = worker->now_ms;
		ledger_count(worker->block, LEDGER_BYTES_RECEIVED, (uint64_t)n);
		if (!respond_fresh(connection, worker->input, (size_t)n))
			return;
		bool may_have_more = n == WORKER_INPUT_BYTES &&
		    connection->phase == CONNECTION_SERVING &&
		    !connection->reading_paused;
		if (!may_have_more)
			return;
	}
}

static void
on_lingering(struct connection *connection)
{
	struct worker *worker = connection->listener->worker;
	ssize_t n =
	    recv(connection_fd(connection), worker->input, WORKER_INPUT_BYTES, 0);
	if (n > 0)
		ledger_count(worker->block, LEDGER_BYTES_RECEIVED, (uint64_t)n);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		connection_close(connection, connection->reason);
}

/* --- events -------------------------------------------------------------------------
 */

/* The last waiting reply has gone. */
static bool
on_unstuck(struct connection *connection)
{
	ledger_count(connection->listener->worker->block, LEDGER_REPLIES_SENT,
	    connection->output->replies);
	output_destroy(connection);
	if (connection->phase == CONNECTION_FINISHING)
		return finish_end(connection);
	return true;
}

static bool
on_writable(struct connection *connection)
{
	struct worker *worker = connection->listener->worker;
	struct output *output = connection->output;
	ssize_t n = send_some(connection, output->bytes->data + output->bytes->start,
	    buffer_length(output->bytes), 0);
	if (n <= 0)
		return n == 0;
	output->moved_ms = worker->now_ms;
	buffer_consume(&output->bytes, (size_t)n);
	if (output->bytes == NULL && !on_unstuck(connection))
		return false;
	if (connection->phase != CONNECTION_SERVING)
		return true;
	if (connection->reading_paused &&
	    stuck_bytes(connection) <= worker->config->limits.max_pending / 2) {
		connection->reading_paused = false;
		if (!respond_kept(connection))
			return false;
	}
	return watch(connection);
}

static void
on_event(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	struct connection *connection = argument;
	if (connection->phase == CONNECTION_LINGERING) {
		on_lingering(connection);
		return;
	}
	if ((what & EV_WRITE) && connection->output != NULL && !on_writable(connection))
		return;
	if ((what & EV_READ) && connection->phase == CONNECTION_SERVING &&
	    !connection->reading_paused)
		on_readable(connection);
}

/* A connection on a socket, not watched yet; NULL with ENOMEM. */
static struct connection *
create(struct listener *listener, int fd)
{
	struct worker *worker = listener->worker;
	struct connection *connection = pool_take(&worker->pool);
	if (connection == NULL)
		return NULL;
	connection->listener = listener;
	connection->active_ms = worker->now_ms;
	ledger_set_open(worker->block, worker->pool.count);
	event_assign(&connection->event, worker->base, fd, EV_READ | EV_PERSIST,
	    on_event, connection);
	return connection;
}

void
connection_open(struct listener *listener, int fd, const struct address *peer)
{
	struct connection *connection = create(listener, fd);
	if (connection == NULL) {
		ledger_count_closed(listener->worker->block, CLOSE_NO_MEMORY);
		close(fd);
		return;
	}
	peer_set(&connection->peer, peer);
	if (event_add(&connection->event, NULL) < 0)
		connection_close(connection, CLOSE_SYSTEM_ERROR);
}

/* --- hand-over ----------------------------------------------------------------------
 */

void
connection_suspend(struct connection *connection)
{
	connection->suspended = true;
	event_del(&connection->event);
}

void
connection_resume(struct connection *connection)
{
	connection->suspended = false;
	struct event *event = &connection->event;
	event_assign(event, connection->listener->worker->base, event_get_fd(event),
	    (short)(wanted_events(connection) | EV_PERSIST), on_event, connection);
	if (event_add(event, NULL) < 0)
		connection_close(connection, CLOSE_SYSTEM_ERROR);
}

void
connection_give_away(struct connection *connection)
{
	int fd = connection_fd(connection);
	ledger_count(
	    connection->listener->worker->block, LEDGER_CONNECTIONS_MOVED_OUT, 1);
	connection_forget(connection);
	close(fd);
}

struct connection *
connection_adopt(
    struct listener *listener, int fd, const struct handover_record *record)
{
	struct connection *connection = create(listener, fd);
	if (connection == NULL)
		return NULL;
	connection->suspended = true;
	connection->active_ms -= record->idle_ms;
	connection->searched = record->searched;
	connection->phase = record->phase;
	connection->reason = record->reason;
	connection->reading_paused = record->reading_paused != 0;
	connection->peer.family = record->peer_family;
	connection->peer.port = record->peer_port;
	memcpy(connection->peer.bytes, record->peer, sizeof(record->peer));
	if (record->output_bytes == 0)
		return connection;
	if (output_create(connection) == NULL) {
		connection_forget(connection);
		return NULL;
	}
	connection->output->replies = record->replies;
	return connection;
}
