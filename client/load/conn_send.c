#include "client/load/conn_send.h"

#include <errno.h>

#include "client/load/conn_tls.h"
#include "client/load/traffic.h"
#include "client/load/transcript.h"

#define WRITES_MAX 16 /* per turn, so that no connection starves the others */

/* Closed loop: an answer makes the next message due. */
static void
schedule_closed_loop(struct load_context *ctx, struct conn *conn)
{
	uint32_t pending = conn_state_awaited(conn) + conn->due;
	if (!ctx->is_running || ctx->plan->load != PLAN_CLOSED ||
	    conn->state != CONN_OPEN)
		return;
	if (pending < ctx->plan->pipeline)
		conn_state_schedule_many(
		    ctx, conn, ctx->times.now_ns, ctx->plan->pipeline - pending);
}

/* While a message is in flight the timeout of its answer applies; otherwise it is
 * measured how long the peer takes no data. */
static void
start_blocked_timer(struct load_context *ctx, struct conn *conn)
{
	if (conn->queue.head == MESSAGE_QUEUE_NONE)
		return; /* in the opening or the end of a conversation */
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
	if (n < (ssize_t)length)
		conn->is_blocked = true;
	if (n < 0)
		return SEND_BLOCKED;
	transcript_data(ctx, conn, CONVERSATION_CLIENT, bytes, (size_t)n);
	ctx->traffic->sent(ctx, conn, (size_t)n);
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

/* There may be room in the socket again. */
static enum send_status
unblock(struct load_context *ctx, struct conn *conn)
{
	conn->ready_ns = ctx->times.now_ns;
	if (conn_tls_flush(conn) < 0)
		return errno == EAGAIN ? SEND_BLOCKED : SEND_FAILED;
	conn->is_blocked = false;
	return SEND_DONE;
}

enum send_status
conn_send(struct load_context *ctx, struct conn *conn)
{
	size_t length;
	if (conn->is_blocked) {
		enum send_status status = unblock(ctx, conn);
		if (status != SEND_DONE)
			return status;
	}
	for (int i = 0; i < WRITES_MAX; i++) {
		schedule_closed_loop(ctx, conn);
		const uint8_t *bytes = ctx->traffic->gather(ctx, conn, &length);
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
