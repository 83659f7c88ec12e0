/* Messages: the bytes come from the sequence, the verdicts from verify. */
#include <string.h>

#include "proto/payload.h"
#include "client/load/accounting.h"
#include "client/load/traffic.h"

/* As traffic_messages_gather(), for `messages` messages of which the first may be sent
 * in part. */
static const uint8_t *
gather_uniform(
    struct load_context *ctx, struct conn *conn, uint32_t messages, size_t *ret_length)
{
	const struct sequence *sequence = ctx->sequence;
	const struct cursor *cursor = &conn->send;
	uint64_t length = messages * sequence->size_min - cursor->at;
	if (length > LOAD_BUFFER_BYTES)
		length = LOAD_BUFFER_BYTES;
	payload_fill(sequence->seed, conn_state_number(ctx, conn),
	    cursor->offset + cursor->at, false, ctx->buffers.outgoing, length);
	*ret_length = length;
	return ctx->buffers.outgoing;
}

/* The bytes to send next: the rest of the message at the cursor and those that may be
 * started, up to the size of the buffer. NULL without any. */
const uint8_t *
traffic_messages_gather(struct load_context *ctx, struct conn *conn, size_t *ret_length)
{
	uint64_t connection = conn_state_number(ctx, conn);
	struct cursor cursor = conn->send;
	uint32_t messages = conn_state_startable(ctx, conn) + (cursor.at > 0 ? 1 : 0);
	size_t room = ctx->plan->dribble ? 1 : LOAD_BUFFER_BYTES, length = 0;
	if (ctx->sequence->is_uniform && messages > 0 && !ctx->plan->dribble)
		return gather_uniform(ctx, conn, messages, ret_length);
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

/* As traffic_messages_sent(). */
static void
sent_uniform(struct load_context *ctx, struct conn *conn, size_t length)
{
	const struct cursor before = conn->send;
	uint64_t ended = sequence_advance(ctx->sequence, &conn->send, length);
	uint64_t begun = ended + (conn->send.at > 0) - (before.at > 0);
	accounting_started(ctx, conn, begun);
	if (ctx->expectation->none)
		accounting_answered_many(ctx, conn, ended, ctx->times.now_ns);
}

/* Advances the send cursor by `sent` bytes. */
void
traffic_messages_sent(struct load_context *ctx, struct conn *conn, size_t length)
{
	uint64_t connection = conn_state_number(ctx, conn);
	struct cursor *cursor = &conn->send;
	counters_add(&ctx->counters->bytes_sent, length);
	if (ctx->sequence->is_uniform) {
		sent_uniform(ctx, conn, length);
		return;
	}
	while (length > 0) {
		if (cursor->length == 0)
			cursor->length = sequence_wire_length(
			    ctx->sequence, connection, cursor->message);
		if (cursor->at == 0)
			accounting_started(ctx, conn, 1);
		uint32_t left = cursor->length - cursor->at;
		uint32_t n = length < left ? (uint32_t)length : left;
		cursor->at += n;
		length -= n;
		if (cursor->at < cursor->length)
			return;
		sequence_seek(ctx->sequence, connection, cursor, cursor->message + 1);
		if (ctx->expectation->none)
			accounting_answered(ctx, conn, true, ctx->times.now_ns);
	}
}

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
set_connection(struct verify *verify, const struct conn *conn)
{
	verify->fd = conn->stream.fd;
	verify->sent = conn->sent_on_connection;
	verify->connected_ns = conn->connect_ns;
}

static void
received(
    struct load_context *ctx, struct conn *conn, const uint8_t *data, size_t length)
{
	struct verify *verify = &ctx->verify;
	struct verify_input in = input_of(ctx, conn);
	if (ctx->plan->expect == PLAN_EXPECT_NONE)
		return;
	set_connection(verify, conn);
	in.data = data;
	in.length = length;
	accounting_answered_many(ctx, conn, verify_run(verify, &in), ctx->times.now_ns);
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

static void
end(struct load_context *ctx, struct conn *conn)
{
	struct verify_input in = input_of(ctx, conn);
	enum verify_result result;
	set_connection(&ctx->verify, conn);
	while ((result = verify_end(&ctx->verify, &in)) != VERIFY_MORE) {
		accounting_answered(ctx, conn, result == VERIFY_RIGHT, in.answered_ns);
		in.unanswered--;
	}
	verify_stream_finish(&ctx->verify, &conn->answers);
	accounting_released(ctx, conn, 0);
}

static void
seek(struct load_context *ctx, struct conn *conn, uint64_t message)
{
	sequence_seek(
	    ctx->sequence, conn_state_number(ctx, conn), &conn->send, message);
	conn->answers = (struct verify_stream){ .cursor = conn->send,
		.first_offset = conn->send.offset };
}

static void
restart(struct load_context *ctx, struct conn *conn)
{
	seek(ctx, conn, conn->send.message + (conn->send.at > 0 ? 1 : 0));
}

/* Messages of a connection count from its start. */
static void
place(const struct load_context *ctx, const struct conn *conn, struct finding *ret)
{
	const struct verify_stream *answers = &conn->answers;
	const struct expectation *expectation = ctx->expectation;
	struct cursor end = conn->send;
	uint64_t after = end.message + (end.at > 0 ? 1 : 0);
	uint64_t first = after - conn->sent_on_connection;
	sequence_seek(ctx->sequence, conn_state_number(ctx, conn), &end, after);
	ret->message = answers->cursor.message - first;
	ret->last_message =
	    conn->in_flight > 0 ? ret->message + conn->in_flight - 1 : ret->message;
	ret->offset = verify_offset(expectation, answers, first, &answers->cursor);
	ret->end = verify_offset(expectation, answers, first, &end);
}

static void
outstanding(const struct load_context *ctx, const struct conn *conn,
    struct counters_lost_connection *ret)
{
	uint32_t length;
	if (conn->in_flight == 0)
		return;
	ret->message = conn->answers.cursor.message;
	ret->answer_bytes = verify_progress(
	    &ctx->verify, conn_state_number(ctx, conn), &conn->answers, &length);
	ret->answer_length = length;
}

static void
start(struct load_context *ctx)
{
	verify_init(&ctx->verify, ctx->expectation, &ctx->control_block->expect,
	    ctx->counters, ctx->plan->connections);
}

static void
finish(struct load_context *ctx)
{
	verify_finish(&ctx->verify);
}

const struct traffic traffic_messages = {
	.start = start,
	.finish = finish,
	.gather = traffic_messages_gather,
	.sent = traffic_messages_sent,
	.received = received,
	.end = end,
	.restart = restart,
	.seek = seek,
	.place = place,
	.outstanding = outstanding,
};
