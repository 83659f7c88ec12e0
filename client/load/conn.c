#include "client/load/conn.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include "client/load/accounting.h"
#include "client/load/conn_connect.h"
#include "client/load/conn_receive.h"
#include "client/load/conn_send.h"
#include "client/load/conn_tls.h"
#include "client/load/outage_watch.h"
#include "client/load/traffic.h"
#include "client/load/transcript.h"

static void
shut_down(const struct load_context *ctx, struct conn *conn)
{
	if (conn->is_write_shut)
		return;
	transport_finish(&conn->stream);
	conn->is_write_shut = true;
	conn->state_since_ns = ctx->times.now_ns;
}

/* close(2) will reset the connection. */
static void
reset_on_close(const struct conn *conn)
{
	struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	setsockopt(conn->stream.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

/* No more messages will be started: what a conversation has before the close. */
static void
start_ending(struct load_context *ctx, struct conn *conn)
{
	conn->state = CONN_ENDING;
	conn->state_since_ns = ctx->times.now_ns;
	conn_state_deactivate(ctx, conn);
	ctx->traffic->close(ctx, conn);
	conn_state_set_timer(ctx, conn);
	conn_advance(ctx, conn);
}

/* Sends the FIN and waits for the peer's; with --close=rst resets the connection. */
static void
start_close(struct load_context *ctx, struct conn *conn)
{
	transcript_event(ctx, conn, "closing");
	conn_state_deactivate(ctx, conn);
	conn->state = CONN_CLOSING;
	conn->is_paused = false;
	if (!conn->is_write_shut)
		conn->state_since_ns = ctx->times.now_ns;
	if (ctx->plan->close == PLAN_CLOSE_RST) {
		reset_on_close(conn);
		conn_close(ctx, conn, CONN_CLOSE_OWN_RESET);
		return;
	}
	shut_down(ctx, conn);
	conn_state_set_timer(ctx, conn);
}

/* A send has failed: reads what the peer sent before, then the connection is lost. */
static void
on_send_failed(struct load_context *ctx, struct conn *conn)
{
	conn_receive_rest(ctx, conn);
	conn_close(
	    ctx, conn, conn_tls_has_failed(conn) ? CONN_CLOSE_TLS : CONN_CLOSE_RESET);
}

/* Messages may be started from now on. */
static void
on_opened(struct load_context *ctx, struct conn *conn)
{
	ctx->connects.pending--;
	ctx->opening--;
	conn_state_set_reconnecting(ctx, conn, false);
	conn->state = CONN_OPEN;
	conn->state_since_ns = conn->ready_ns = ctx->times.now_ns;
	outage_watch_opened(ctx, conn);
	conn_state_activate(ctx, conn);
	conn_state_set_timer(ctx, conn);
}

/* Counts the pass that a reset ends. */
static void
on_reset(struct load_context *ctx, struct conn *conn, enum conn_end end)
{
	enum traffic_request request;
	do
		request = ctx->traffic->next(ctx, conn);
	while (request != TRAFFIC_NONE && request < TRAFFIC_FINISHED);
	conn_close(ctx, conn, end);
}

/* Does what the traffic requests. True if it may have more to send. */
static bool
follow(struct load_context *ctx, struct conn *conn)
{
	for (bool more = false;; more = true) {
		switch (ctx->traffic->next(ctx, conn)) {
		case TRAFFIC_NONE:
			return more;
		case TRAFFIC_OPENED:
			on_opened(ctx, conn);
			break;
		case TRAFFIC_RESUMED:
			break;
		case TRAFFIC_HALF_CLOSE:
		case TRAFFIC_CLOSE:
			shut_down(ctx, conn);
			break;
		case TRAFFIC_RESET:
			reset_on_close(conn);
			on_reset(ctx, conn, CONN_CLOSE_OWN_RESET);
			return false;
		case TRAFFIC_FINISHED:
			start_close(ctx, conn);
			return false;
		case TRAFFIC_MISMATCH:
			conn_close(ctx, conn, CONN_CLOSE_MISMATCH);
			return false;
		}
	}
}

/* Sends what can be sent. False if the connection is closing or closed afterwards. */
static bool
send_all(struct load_context *ctx, struct conn *conn)
{
	do {
		if (conn_send(ctx, conn) == SEND_FAILED) {
			on_send_failed(ctx, conn);
			return false;
		}
	} while (ctx->traffic->next != NULL && follow(ctx, conn));
	return conn_state_talks(conn);
}

void
conn_advance(struct load_context *ctx, struct conn *conn)
{
	const struct plan *plan = ctx->plan;
	uint32_t index = conn_state_index(ctx, conn);
	if (!conn_state_talks(conn)) {
		/* Sends records that TLS has sealed; a failure shows at the next read.
		 */
		(void)conn_tls_flush(conn);
		return;
	}
	if (!send_all(ctx, conn) || conn->state != CONN_OPEN)
		return;
	if (conn->in_flight > 0 &&
	    timer_wheel_deadline(&ctx->timer_wheel, index) >
		ctx->times.now_ns + plan->timeout_ns)
		conn_state_set_timer(ctx, conn);
	if (plan->half_close && conn_state_has_sent_all(ctx, conn) &&
	    conn->send.at == 0 && !conn->is_write_shut) {
		shut_down(ctx, conn);
	}
	if (conn_state_awaited(conn) > 0 || conn->send.at > 0)
		return;
	if (!conn_state_has_expired(ctx, conn) && conn_state_has_work(ctx, conn))
		return;
	if (ctx->traffic->close != NULL)
		start_ending(ctx, conn);
	else
		start_close(ctx, conn);
}

/* The peer has ended a conversation, by a FIN or a RST. */
static void
on_conversation_ended(struct load_context *ctx, struct conn *conn, bool is_reset)
{
	if (!ctx->traffic->peer_ended(ctx, conn, is_reset)) {
		conn_close(ctx, conn, is_reset ? CONN_CLOSE_RESET : CONN_CLOSE_BY_PEER);
	} else if (is_reset) {
		on_reset(ctx, conn, CONN_CLOSE_EXPECTED_RESET);
	} else {
		conn_advance(ctx, conn);
		/* Nothing is left to do but our FIN. */
		if (conn->state == CONN_CLOSING)
			conn_close(ctx, conn, CONN_CLOSE_FINISHED);
	}
}

static void
on_peer_closed(struct load_context *ctx, struct conn *conn)
{
	if (conn_state_talks(conn) && ctx->traffic->peer_ended != NULL) {
		on_conversation_ended(ctx, conn, false);
		return;
	}
	if (conn->state == CONN_OPEN) {
		if (conn_state_awaited(conn) > 0 ||
		    (conn_state_has_work(ctx, conn) &&
			!conn_state_has_expired(ctx, conn))) {
			conn_close(ctx, conn, CONN_CLOSE_BY_PEER);
			return;
		}
		start_close(ctx, conn);
	}
	if (conn->state == CONN_CLOSING)
		conn_close(ctx, conn, CONN_CLOSE_FINISHED);
}

static void
on_peer_reset(struct load_context *ctx, struct conn *conn)
{
	if (conn_state_talks(conn) && conn_tls_has_failed(conn))
		conn_close(ctx, conn, CONN_CLOSE_TLS);
	else if (conn_state_talks(conn) && ctx->traffic->peer_ended != NULL)
		on_conversation_ended(ctx, conn, true);
	else
		conn_close(ctx, conn,
		    conn->state == CONN_CLOSING ? CONN_CLOSE_PEER_RESET
						: CONN_CLOSE_RESET);
}

static void
receive(struct load_context *ctx, struct conn *conn, bool until_eof)
{
	enum receive_status status = conn_receive(ctx, conn, until_eof);
	if (ctx->traffic->next != NULL && conn_state_talks(conn)) {
		(void)follow(ctx, conn);
		if (!conn_state_talks(conn) && conn->state != CONN_CLOSING)
			return;
	}
	switch (status) {
	case RECEIVE_NO_MORE:
		break;
	case RECEIVE_MORE_LATER:
		conn_state_enqueue_ready(ctx, conn);
		break;
	case RECEIVE_PEER_CLOSED:
		on_peer_closed(ctx, conn);
		break;
	case RECEIVE_RESET:
		on_peer_reset(ctx, conn);
		break;
	}
}

static void
on_established(struct load_context *ctx, struct conn *conn)
{
	if (ctx->tls != NULL)
		ctx->tls->starting--;
	conn->was_established = true;
	conn->state = CONN_OPENING;
	ctx->opening++;
	conn->state_since_ns = conn->received_ns = ctx->times.now_ns;
	conn->sent_on_connection = conn->own_us = 0;
	conn->is_write_shut = conn->expires = conn->is_paused = false;
	conn->is_blocked = conn_tls_has_output(conn);
	conn->is_held = false;
	if (conn->tls == NULL)
		transcript_connected(ctx, conn);
	if (ctx->traffic->open == NULL) {
		on_opened(ctx, conn);
	} else {
		ctx->traffic->open(ctx, conn);
		conn_state_set_timer(ctx, conn);
	}
	if (ctx->traffic->open != NULL || ctx->is_running || ctx->is_stopped)
		conn_advance(ctx, conn);
}

static void
on_connect(struct load_context *ctx, struct conn *conn, enum connect_status status)
{
	switch (status) {
	case CONNECT_STARTED:
		conn_state_set_timer(ctx, conn);
		break;
	case CONNECT_HANDSHAKE:
		conn->state = CONN_HANDSHAKE;
		transcript_connected(ctx, conn);
		on_connect(ctx, conn, conn_connect_shake(ctx, conn));
		break;
	case CONNECT_ESTABLISHED:
		on_established(ctx, conn);
		break;
	case CONNECT_FAILED:
		conn_close(ctx, conn, CONN_CLOSE_CONNECT_FAILED);
		break;
	}
}

void
conn_start(struct load_context *ctx, struct conn *conn)
{
	conn->state = CONN_CONNECTING;
	conn->connect_started = true;
	ctx->connects.pending++;
	if (ctx->tls != NULL)
		ctx->tls->starting++;
	on_connect(ctx, conn, conn_connect(ctx, conn));
}

static void
on_connect_event(struct load_context *ctx, struct conn *conn)
{
	if (conn->state == CONN_CONNECTING)
		on_connect(ctx, conn, conn_connect_finish(ctx, conn));
	else if (conn->state == CONN_HANDSHAKE)
		on_connect(ctx, conn, conn_connect_shake(ctx, conn));
}

void
conn_on_event(struct load_context *ctx, struct conn *conn, uint32_t events)
{
	uint32_t ended = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
	if (conn->state <= CONN_HANDSHAKE)
		on_connect_event(ctx, conn);
	if (!conn_state_talks(conn) && conn->state != CONN_CLOSING)
		return;
	if (conn->is_held && (events & EPOLLERR) != 0 &&
	    ctx->traffic->end_pauses != NULL)
		ctx->traffic->end_pauses(ctx, conn);
	if ((events & (EPOLLIN | ended)) != 0 && !conn->is_paused && !conn->is_held)
		receive(ctx, conn, (events & ended) != 0);
	conn_advance(ctx, conn);
}

void
conn_on_ready(struct load_context *ctx, struct conn *conn)
{
	/* The connection with the work left over may be closed and the next one be
	 * connecting. */
	if (!conn_state_is_starting(conn))
		conn_on_event(ctx, conn, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
}

static void
on_open_timer(struct load_context *ctx, struct conn *conn)
{
	const struct plan *plan = ctx->plan;
	uint64_t since = conn_state_waiting_since(ctx, conn);
	if (since != 0 &&
	    since + conn_state_patience_ns(ctx, conn) <= ctx->times.received_ns) {
		conn_close(ctx, conn, CONN_CLOSE_TIMEOUT);
		return;
	}
	if (plan->lifetime_ns > 0 && ctx->is_running && conn->state == CONN_OPEN &&
	    conn->state_since_ns + plan->lifetime_ns <= ctx->times.now_ns)
		conn->expires = true;
	if (conn->is_paused) {
		conn->is_paused = false;
		receive(ctx, conn, true);
	}
	conn_advance(ctx, conn);
	if (conn_state_talks(conn))
		conn_state_set_timer(ctx, conn);
}

/* Bytes that belong to damaged answers still arrive: their number says which answers
 * are wrong. */
static bool
is_still_answered(const struct load_context *ctx, const struct conn *conn)
{
	uint64_t now_ns = ctx->times.received_ns;
	return conn->in_flight > 0 &&
	    conn->received_ns + PLAN_CLOSE_TIMEOUT_NS > now_ns &&
	    conn->state_since_ns + ctx->plan->timeout_ns > now_ns &&
	    (!ctx->is_stopped || ctx->times.drain_ns != UINT64_MAX);
}

void
conn_on_timer(struct load_context *ctx, struct conn *conn)
{
	switch ((enum conn_state)conn->state) {
	case CONN_WAITING:
		conn_state_enqueue_connect(ctx, conn);
		break;
	case CONN_CONNECTING:
		on_connect(ctx, conn, conn_connect_on_timer(ctx, conn));
		break;
	case CONN_HANDSHAKE:
		on_connect(ctx, conn, conn_connect_give_up(ctx, conn));
		break;
	case CONN_OPENING:
	case CONN_OPEN:
	case CONN_ENDING:
		on_open_timer(ctx, conn);
		break;
	case CONN_CLOSING:
		if (is_still_answered(ctx, conn))
			conn_state_set_timer(ctx, conn);
		else
			conn_close(ctx, conn, CONN_CLOSE_NO_FIN);
		break;
	case CONN_DONE:
		break;
	}
}
