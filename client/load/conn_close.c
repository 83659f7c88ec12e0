#include "client/load/conn_close.h"

#include <sys/socket.h>

#include <unistd.h>

#include "net/mptcp.h"
#include "net/socket_info.h"
#include "client/load/accounting.h"
#include "client/load/conn_connect.h"
#include "client/load/conn_tls.h"
#include "client/load/outage_watch.h"
#include "client/load/traffic.h"
#include "client/load/transcript.h"

#define SHORT_CONNECTION_NS NS_PER_S
#define FIRST_BACKOFF_NS UINT64_C(10000000)
#define BACKOFF_DOUBLINGS_MAX 6

/* Called before `failures` grows. */
static void
note_failure(const struct load_context *ctx, struct conn *conn)
{
	if (conn->failures == 0)
		conn->failing_since_ns = ctx->times.now_ns;
}

/* Delay before the next attempt; doubles with each connection without an answer. */
static uint64_t
next_backoff_ns(struct conn *conn)
{
	uint32_t doublings = conn->failures < BACKOFF_DOUBLINGS_MAX
	    ? conn->failures
	    : BACKOFF_DOUBLINGS_MAX;
	if (conn->failures < UINT8_MAX)
		conn->failures++;
	return FIRST_BACKOFF_NS << doublings;
}

/* A lost connection is replaced at once, unless several in a row were short and
 * brought no answer. */
static uint64_t
delay_after_loss(const struct load_context *ctx, struct conn *conn)
{
	if (ctx->times.now_ns - conn->state_since_ns >= SHORT_CONNECTION_NS)
		conn->failures = 0;
	if (conn->failures > 0)
		return next_backoff_ns(conn);
	conn->failures = 1;
	return 0;
}

/* The next connection starts with a whole message. */
static void
close_socket(struct load_context *ctx, struct conn *conn, bool says_goodbye)
{
	conn_tls_destroy(ctx, conn, says_goodbye);
	counters_add(
	    &ctx->counters->retransmits, socket_info_retransmits(conn->stream.fd));
	if (ctx->plan->sockets.fast_open)
		counters_add(&ctx->counters->sockets[SOCKET_FAST_OPEN],
		    socket_info_has_syn_data(conn->stream.fd));
	if (conn->is_mptcp)
		counters_add(&ctx->counters->sockets[SOCKET_SUBFLOWS],
		    mptcp_subflows(conn->stream.fd));
	close(conn->stream.fd);
	conn->stream.fd = -1;
	counters_add(&ctx->counters->connections_open, (uint64_t)-1);
	ctx->traffic->restart(ctx, conn);
	/* The next connection has not blocked this message. */
	if (conn->due > 0)
		message_queue_at(&ctx->message_pool, conn->queue.head)->written_ns = 0;
}

static void
drop_due(struct load_context *ctx, struct conn *conn)
{
	for (; conn->due > 0; conn->due--, conn->scheduled--)
		message_queue_pop(&ctx->message_pool, &conn->queue);
}

/* Without a duration the messages end the run: a connection to a server that is gone,
 * or that never answers, would keep it from its end. */
static bool
is_hopeless(
    const struct load_context *ctx, const struct conn *conn, enum conn_end reason)
{
	if (ctx->plan->messages == 0 || ctx->plan->duration_ns > 0)
		return false;
	if (reason == CONN_CLOSE_TIMEOUT && conn->received_ns <= conn->opened_ns)
		return true;
	return ctx->times.now_ns - conn->failing_since_ns >=
	    ctx->plan->connect_timeout_ns;
}

static void
connect_again(struct load_context *ctx, struct conn *conn, uint64_t delay_ns)
{
	conn_state_set_reconnecting(ctx, conn, true);
	conn->state = CONN_WAITING;
	if (delay_ns > 0)
		timer_wheel_set(&ctx->timer_wheel, conn_state_index(ctx, conn),
		    ctx->times.now_ns + delay_ns);
	else
		conn_state_enqueue_connect(ctx, conn);
}

static void
finish(struct load_context *ctx, struct conn *conn)
{
	drop_due(ctx, conn);
	conn_state_set_reconnecting(ctx, conn, false);
	conn->state = CONN_DONE;
	timer_wheel_clear(&ctx->timer_wheel, conn_state_index(ctx, conn));
	ctx->unfinished--;
	accounting_finished(ctx, conn);
}

static void
account_loss(struct load_context *ctx, struct conn *conn, enum message_loss loss)
{
	static const char *const texts[] = {
		[MESSAGE_LOSS_TIMEOUT] = "no answer in time",
		[MESSAGE_LOSS_RESET] = "reset by the peer",
		[MESSAGE_LOSS_CLOSED] = "closed by the peer",
		[MESSAGE_LOSS_MISMATCH] = "closed after a wrong answer",
		[MESSAGE_LOSS_TLS] = "ended by an error of TLS",
	};
	transcript_event(ctx, conn, texts[loss]);
	conn_state_deactivate(ctx, conn);
	accounting_connection_lost(ctx, conn, loss);
}

/* Counts how the peer ended a connection after our FIN. */
static void
count_close(struct load_context *ctx, const struct conn *conn, enum conn_end reason)
{
	enum close_end end;
	switch (reason) {
	case CONN_CLOSE_FINISHED:
		end = CLOSE_END_FIN;
		accounting_record(
		    ctx, LATENCY_CLOSE, ctx->times.now_ns - conn->state_since_ns);
		break;
	case CONN_CLOSE_PEER_RESET:
		end = CLOSE_END_RESET;
		break;
	case CONN_CLOSE_NO_FIN:
		end = CLOSE_END_TIMEOUT;
		break;
	default:
		return;
	}
	counters_add(&ctx->counters->connections_closed[end], 1);
}

/* An answer came in place of those that are waited for no more. */
static void
end_answers(struct load_context *ctx, struct conn *conn, bool is_lost)
{
	ctx->traffic->end(ctx, conn);
	while (!is_lost && conn->in_flight > 0)
		accounting_answered(ctx, conn, false, ctx->times.now_ns);
}

/* Its attempts to connect again have ended. */
static bool
was_lost(const struct conn *conn, enum conn_end reason)
{
	return reason >= CONN_CLOSE_CONNECT_FAILED && conn->was_established;
}

void
conn_close(struct load_context *ctx, struct conn *conn, enum conn_end reason)
{
	bool is_lost = reason <= CONN_CLOSE_TLS, again = true;
	bool was_open = conn_state_talks(conn) || conn->state == CONN_CLOSING;
	uint64_t delay_ns = 0;
	if (was_open)
		end_answers(ctx, conn, is_lost);
	if (reason <= CONN_CLOSE_TLS) {
		note_failure(ctx, conn);
		delay_ns = delay_after_loss(ctx, conn);
		again = ctx->plan->reconnect && !is_hopeless(ctx, conn, reason);
		account_loss(ctx, conn, (enum message_loss)reason);
	} else if (reason == CONN_CLOSE_CONNECT_FAILED) {
		note_failure(ctx, conn);
		delay_ns = next_backoff_ns(conn);
		again = conn->was_established && ctx->plan->reconnect &&
		    !is_hopeless(ctx, conn, reason);
	} else {
		count_close(ctx, conn, reason);
	}
	if (conn->state >= CONN_CONNECTING && conn->state <= CONN_OPENING)
		ctx->connects.pending--;
	if (ctx->tls != NULL && conn_state_is_starting(conn))
		ctx->tls->starting--;
	if (conn->state == CONN_OPENING)
		ctx->opening--;
	if (was_open)
		close_socket(ctx, conn,
		    reason == CONN_CLOSE_TIMEOUT || reason == CONN_CLOSE_MISMATCH);
	else
		conn_connect_close(ctx, conn);
	/* A schedule keeps its messages due; others are made due again. */
	if (is_lost && ctx->plan->load < PLAN_INTERVAL)
		drop_due(ctx, conn);
	if (again && reason != CONN_CLOSE_CANCELLED && conn_state_has_work(ctx, conn)) {
		if (is_lost)
			outage_watch_reconnected(ctx, conn);
		connect_again(ctx, conn, delay_ns);
	} else {
		if (is_lost || was_lost(conn, reason))
			outage_watch_ended(
			    ctx, conn, ctx->is_stopped ? OUTAGE_OPEN : OUTAGE_LOST);
		finish(ctx, conn);
	}
}
