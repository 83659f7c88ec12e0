#include "client/load/conn_receive.h"

#include <errno.h>

#include "lib/clock.h"
#include "client/load/accounting.h"
#include "client/load/conn_tls.h"
#include "client/load/own_delay.h"
#include "client/load/traffic.h"
#include "client/load/transcript.h"

#define READS_MAX 4 /* per turn, so that no connection starves the others */

static size_t
read_limit(const struct load_context *ctx)
{
	uint64_t slow = ctx->plan->slow_read;
	return slow == 0 ? LOAD_BUFFER_BYTES : conn_state_slow_bytes(slow);
}

static ssize_t
receive_once(struct load_context *ctx, struct conn *conn, size_t max)
{
	uint32_t weight = own_delay_weight(ctx, conn);
	uint64_t waited_ns = RECEIVE_TIME_UNKNOWN;
	void *data = ctx->buffers.received;
	ssize_t n = weight > 0
	    ? transport_receive_timed(&conn->stream, data, max, &waited_ns)
	    : transport_receive(&conn->stream, data, max);
	ctx->times.now_ns = clock_now_ns();
	if (n <= 0)
		return n;
	own_delay_set(ctx, weight, waited_ns);
	accounting_heard(ctx, conn, ctx->times.now_ns - ctx->sample.waited_ns);
	conn->received_ns = ctx->times.now_ns;
	counters_add(&ctx->counters->bytes_received, (uint64_t)n);
	transcript_data(
	    ctx, conn, CONVERSATION_SERVER, ctx->buffers.received, (size_t)n);
	ctx->traffic->received(ctx, conn, ctx->buffers.received, (size_t)n);
	return n;
}

void
conn_receive_rest(struct load_context *ctx, struct conn *conn)
{
	while (receive_once(ctx, conn, LOAD_BUFFER_BYTES) > 0)
		;
}

enum receive_status
conn_receive(struct load_context *ctx, struct conn *conn, bool until_eof)
{
	size_t max = read_limit(ctx);
	for (int i = 0; i < READS_MAX; i++) {
		ssize_t n = receive_once(ctx, conn, max);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN && until_eof && conn_tls_has_read(conn))
			continue;
		if (n < 0)
			return errno == EAGAIN ? RECEIVE_NO_MORE : RECEIVE_RESET;
		if (n == 0)
			return RECEIVE_PEER_CLOSED;
		if (conn->is_held)
			return RECEIVE_NO_MORE;
		if (ctx->plan->slow_read > 0 && conn_state_talks(conn)) {
			conn->is_paused = true;
			conn_state_set_timer(ctx, conn);
			return RECEIVE_NO_MORE;
		}
		if ((size_t)n < max && !until_eof)
			return RECEIVE_NO_MORE;
	}
	return RECEIVE_MORE_LATER;
}
