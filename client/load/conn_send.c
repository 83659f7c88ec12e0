#include "client/load/conn_send.h"

#include <errno.h>
#include <string.h>

#include "client/load/accounting.h"
#include "client/load/transcript.h"

#define WRITES_MAX 16 /* per turn, so that no connection starves the others */

/* Advances the send cursor by `sent` bytes. */
static void
count_sent(struct load_context *ctx, struct conn *conn, size_t sent)
{
	uint64_t connection = conn_state_number(ctx, conn);
	struct cursor *cursor = &conn->send;
	counters_add(&ctx->counters->bytes_sent, sent);
	while (sent > 0) {
		if (cursor->length == 0)
			cursor->length = sequence_wire_length(
			    ctx->sequence, connection, cursor->message);
		if (cursor->at == 0)
			accounting_started(ctx, conn);
		uint32_t left = cursor->length - cursor->at;
		uint32_t n = sent < left ? (uint32_t)sent : left;
		cursor->at += n;
		sent -= n;
		if (cursor->at < cursor->length)
			return;
		sequence_seek(ctx->sequence, connection, cursor, cursor->message + 1);
		if (ctx->expectation->none)
			accounting_answered(ctx, conn, true, ctx->times.now_ns);
	}
}

/* Messages that may be started now. */
static uint32_t
startable_messages(const struct load_context *ctx, const struct conn *conn)
{
	const struct plan *plan = ctx->plan;
	uint32_t n = conn->due;
	if (conn->expires || ctx->is_dropping)
		return 0;
	uint32_t awaited = conn_state_awaited(conn);
	if (plan->pipeline > 0 && n + awaited > plan->pipeline)
		n = awaited < plan->pipeline ? plan->pipeline - awaited : 0;
	if (plan->messages_per_connection > 0) {
		uint64_t left =
		    plan->messages_per_connection - conn->sent_on_connection;
		n = n < left ? n : (uint32_t)left;
	}
	return n;
}

/* The bytes to send next: the rest of the message at the cursor and those that may be
 * started, up to the size of the buffer. NULL without any. */
static const uint8_t *
gather(struct load_context *ctx, const struct conn *conn, size_t *ret_length)
{
	uint64_t connection = conn_state_number(ctx, conn);
	struct cursor cursor = conn->send;
	uint32_t messages = startable_messages(ctx, conn) + (cursor.at > 0 ? 1 : 0);
	size_t room = ctx->plan->dribble ? 1 : LOAD_BUFFER_BYTES, length = 0;
	while (messages > 0 && length < room) {
		if (cursor.length == 0)
			cursor.length = sequence_wire_length(
			    ctx->sequence, connection, cursor.message);
		size_t n = room - length;
		uint8_t *out = ctx->buffers.outgoing + length;
		const uint8_t *wire = sequence_wire(
		    ctx->sequence, connection, &cursor, &n, ctx->verify.scratch, out);
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
			sequence_seek(
			    ctx->sequence, connection, &cursor, cursor.message + 1);
	}
	*ret_length = length;
	return length > 0 ? ctx->buffers.outgoing : NULL;
}

/* Closed loop: an answer makes the next message due. */
static void
schedule_closed_loop(struct load_context *ctx, struct conn *conn)
{
	if (!ctx->is_running || ctx->plan->load != PLAN_CLOSED)
		return;
	while (conn_state_awaited(conn) + conn->due < ctx->plan->pipeline)
		if (!conn_state_schedule(ctx, conn, ctx->times.now_ns))
			return;
}

/* While a message is in flight the timeout of its answer applies; otherwise it is
 * measured how long the peer takes no data. */
static void
start_blocked_timer(struct load_context *ctx, struct conn *conn)
{
	struct queued_message *oldest =
	    message_queue_at(&ctx->message_pool, conn->queue.head);
	if (oldest->written_ns != 0)
		return;
	oldest->written_ns = ctx->times.now_ns;
	conn_state_set_timer(ctx, conn);
}

static enum send_status
send_bytes(
    struct load_context *ctx, struct conn *conn, const uint8_t *bytes, size_t length)
{
	ssize_t n = transport_send(&conn->stream, bytes, length);
	if (n < 0 && errno == EAGAIN)
		start_blocked_timer(ctx, conn);
	else if (n < 0 && errno == EINTR)
		conn_state_enqueue_ready(ctx, conn);
	else if (n < 0)
		return SEND_FAILED;
	conn->is_blocked = n < (ssize_t)length;
	if (n < 0)
		return SEND_BLOCKED;
	transcript_data(ctx, conn, "sending", bytes, (size_t)n);
	count_sent(ctx, conn, (size_t)n);
	return (size_t)n < length ? SEND_BLOCKED : SEND_DONE;
}

/* False without work for the next round of conn_send: a short cut for the usual case.
 */
static bool
may_send_more(const struct load_context *ctx, const struct conn *conn)
{
	bool is_closed = ctx->is_running && ctx->plan->load == PLAN_CLOSED;
	return conn->due > 0 || conn->send.at > 0 ||
	    (is_closed && conn->in_flight < ctx->plan->pipeline);
}

enum send_status
conn_send(struct load_context *ctx, struct conn *conn)
{
	size_t length;
	if (conn->is_blocked)
		conn->ready_ns = ctx->times.now_ns;
	for (int i = 0; i < WRITES_MAX; i++) {
		schedule_closed_loop(ctx, conn);
		const uint8_t *bytes = gather(ctx, conn, &length);
		if (bytes == NULL)
			return SEND_DONE;
		enum send_status status = send_bytes(ctx, conn, bytes, length);
		if (status != SEND_DONE)
			return status;
		if (ctx->plan->dribble)
			break;
		if (!may_send_more(ctx, conn))
			return SEND_DONE;
	}
	conn_state_enqueue_ready(ctx, conn);
	return SEND_DONE;
}
