#include "client/load/conn_receive.h"

#include <errno.h>

#include "lib/clock.h"
#include "client/load/accounting.h"
#include "client/load/own_delay.h"
#include "client/load/transcript.h"

#define READS_MAX 4 /* per turn, so that no connection starves the others */

static struct verify_input
input_of(const struct load_context *ctx, struct conn *conn)
{
	return (struct verify_input){
		.connection = conn_state_number(ctx, conn),
		.stream = &conn->answers,
		.now_ns = ctx->times.now_ns,
		.answered_ns = ctx->times.now_ns,
		.unanswered = conn->in_flight,
	};
}

static void
verify_received(
    struct load_context *ctx, struct conn *conn, const uint8_t *data, size_t length)
{
	struct verify *verify = &ctx->verify;
	struct verify_input in = input_of(ctx, conn);
	if (ctx->plan->expect == PLAN_EXPECT_NONE)
		return;
	verify->fd = conn->stream.fd;
	in.data = data;
	in.length = length;
	while (in.length > 0 || conn->answers.held != NULL) {
		enum verify_result result = verify_feed(verify, &in);
		if (result == VERIFY_MORE && in.length == 0)
			break;
		if (result == VERIFY_MORE)
			continue;
		accounting_answered(ctx, conn, result == VERIFY_RIGHT, in.answered_ns);
		in.unanswered--;
		in.answered_ns = in.now_ns;
	}
	accounting_released(ctx, conn, verify_released(&conn->answers));
}

void
conn_receive_end(struct load_context *ctx, struct conn *conn)
{
	struct verify_input in = input_of(ctx, conn);
	enum verify_result result;
	ctx->verify.fd = conn->stream.fd;
	while ((result = verify_end(&ctx->verify, &in)) != VERIFY_MORE) {
		accounting_answered(ctx, conn, result == VERIFY_RIGHT, in.answered_ns);
		in.unanswered--;
	}
	verify_stream_finish(&ctx->verify, &conn->answers);
	accounting_released(ctx, conn, 0);
}

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
	transcript_data(ctx, conn, "received", ctx->buffers.received, (size_t)n);
	verify_received(ctx, conn, ctx->buffers.received, (size_t)n);
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
		if (n < 0)
			return errno == EAGAIN ? RECEIVE_NO_MORE : RECEIVE_RESET;
		if (n == 0)
			return RECEIVE_PEER_CLOSED;
		if (ctx->plan->slow_read > 0 && conn->state == CONN_OPEN) {
			conn->is_paused = true;
			conn_state_set_timer(ctx, conn);
			return RECEIVE_NO_MORE;
		}
		if ((size_t)n < max && !until_eof)
			return RECEIVE_NO_MORE;
	}
	return RECEIVE_MORE_LATER;
}
