#include "client/load/conn_send.h"

#include <sys/socket.h>

#include <errno.h>
#include <string.h>

#include "client/load/accounting.h"
#include "client/load/conn_receive.h"
#include "client/load/generator.h"
#include "client/load/transcript.h"

#define WRITES_MAX 16 /* in one turn, so that no socket starves the others */

/* `sent` bytes from the send cursor on are with the kernel. */
static void
count_sent(struct generator *generator, struct conn *conn, size_t sent)
{
	uint64_t connection = generator_connection(generator, conn);
	struct cursor *cursor = &conn->send;

	counters_add(&generator->counters->bytes_sent, sent);
	while (sent > 0) {
		if (cursor->length == 0)
			cursor->length = sequence_wire_length(
			    generator->sequence, connection, cursor->message);
		if (cursor->at == 0)
			accounting_started(generator, conn);
		uint32_t left = cursor->length - cursor->at;
		uint32_t n = sent < left ? (uint32_t)sent : left;
		cursor->at += n;
		sent -= n;
		if (cursor->at < cursor->length)
			return;
		sequence_seek(
		    generator->sequence, connection, cursor, cursor->message + 1);
		if (generator->expectation->none)
			accounting_answered(generator, conn, true);
	}
}

/* How many messages may be begun now. */
static uint32_t
may_begin(const struct generator *generator, const struct conn *conn)
{
	const struct plan *plan = generator->plan;
	uint32_t n = conn->due;

	if (conn->expires || generator->is_dropping)
		return 0;
	if (plan->pipeline > 0 && n > plan->pipeline - conn->in_flight)
		n = plan->pipeline - conn->in_flight;
	if (plan->messages_per_connection > 0) {
		uint64_t left =
		    plan->messages_per_connection - conn->sent_on_connection;
		n = n < left ? n : (uint32_t)left;
	}
	return n;
}

/* The bytes that can be sent now: the rest of the message at the cursor and those that
 * may be begun, as far as the buffer goes. NULL when there is nothing. */
static const uint8_t *
gather(struct generator *generator, const struct conn *conn, size_t *ret_length)
{
	uint64_t connection = generator_connection(generator, conn);
	struct cursor cursor = conn->send;
	uint32_t messages = may_begin(generator, conn) + (cursor.at > 0 ? 1 : 0);
	size_t room = generator->plan->dribble ? 1 : GENERATOR_BUFFER, length = 0;

	while (messages > 0 && length < room) {
		if (cursor.length == 0)
			cursor.length = sequence_wire_length(
			    generator->sequence, connection, cursor.message);
		size_t n = room - length;
		uint8_t *out = generator->outgoing + length;
		const uint8_t *wire = sequence_wire(generator->sequence, connection,
		    &cursor, &n, generator->verify.scratch, out);
		cursor.at += (uint32_t)n;
		messages -= cursor.at == cursor.length;
		if (length == 0 && (messages == 0 || n == room)) {
			*ret_length = n;
			return wire;
		}
		if (wire != out)
			memcpy(out, wire, n);
		length += n;
		if (cursor.at == cursor.length)
			sequence_seek(generator->sequence, connection, &cursor,
			    cursor.message + 1);
	}
	*ret_length = length;
	return length > 0 ? generator->outgoing : NULL;
}

/* Closed loop: as soon as one is answered, the next is due. */
static void
schedule_closed_loop(struct generator *generator, struct conn *conn)
{
	if (!generator->is_running || generator->plan->load != PLAN_CLOSED)
		return;
	while (conn->in_flight + conn->due < generator->plan->pipeline)
		if (!conn_schedule(generator, conn, generator->now_ns))
			return;
}

/* With nothing in flight no answer can be late: how long the peer takes nothing is
 * timed instead. */
static void
start_blocked_timer(struct generator *generator, struct conn *conn)
{
	struct queued_message *oldest =
	    message_queue_at(&generator->message_pool, conn->queue.head);

	if (oldest->written_ns != 0)
		return;
	oldest->written_ns = generator->now_ns;
	conn_set_timer(generator, conn);
}

/* True when the kernel took all of it. */
static bool
send_bytes(
    struct generator *generator, struct conn *conn, const uint8_t *bytes, size_t length)
{
	ssize_t n = send(conn->fd, bytes, length, MSG_NOSIGNAL);

	if (n < 0) {
		if (errno == EINTR)
			generator_enqueue_ready(generator, conn);
		else if (errno == EAGAIN)
			start_blocked_timer(generator, conn);
		else
			conn_receive_rest(generator, conn);
		return false;
	}
	transcript_sent(generator, conn, bytes, (size_t)n);
	count_sent(generator, conn, (size_t)n);
	if ((size_t)n < length)
		return false;
	return true;
}

void
conn_send(struct generator *generator, struct conn *conn)
{
	size_t length;

	for (int i = 0; i < WRITES_MAX; i++) {
		schedule_closed_loop(generator, conn);
		const uint8_t *bytes = gather(generator, conn, &length);
		if (bytes == NULL)
			return;
		if (!send_bytes(generator, conn, bytes, length))
			return;
		if (generator->plan->dribble)
			break;
	}
	generator_enqueue_ready(generator, conn);
}
