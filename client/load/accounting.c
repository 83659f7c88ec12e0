#include "client/load/accounting.h"

#include "net/address.h"
#include "net/socket_info.h"
#include "client/load/outage_watch.h"
#include "client/load/own_delay.h"
#include "client/load/traffic.h"

#define LATE_NS NS_PER_MS

static struct counters_messages *
messages_of(const struct load_context *ctx, uint64_t intended_ns)
{
	return intended_ns < ctx->times.measure_ns ? &ctx->counters->warmup
						   : &ctx->counters->messages;
}

/* True if the message is measured: it was not due in the warm-up. */
static bool
start_one(struct load_context *ctx, struct conn *conn)
{
	struct queued_message *message =
	    message_queue_at(&ctx->message_pool, conn->queue.unwritten);
	uint64_t blocked_ns, lag_ns;
	own_delay_sent(conn, message, ctx->times.now_ns, &blocked_ns, &lag_ns);
	message_queue_mark_written(&ctx->message_pool, &conn->queue, ctx->times.now_ns);
	if (message->intended_ns < ctx->times.measure_ns)
		return false;
	if (ctx->plan->load < PLAN_INTERVAL)
		return true;
	accounting_record(ctx, LATENCY_BLOCKED, blocked_ns);
	accounting_record(ctx, LATENCY_SEND_LAG, lag_ns);
	if (lag_ns > LATE_NS)
		counters_add(&ctx->counters->messages_late, 1);
	return true;
}

static void
count_started(struct counters_messages *messages, uint64_t count)
{
	counters_add(&messages->sent, count);
	counters_add(&messages->in_flight, count);
}

void
accounting_started(struct load_context *ctx, struct conn *conn, uint64_t count)
{
	uint64_t measured = 0;
	for (uint64_t i = 0; i < count; i++)
		measured += start_one(ctx, conn);
	conn->due -= (uint32_t)count;
	conn->in_flight += (uint32_t)count;
	conn->sent_on_connection += count;
	ctx->in_flight += count;
	if (measured < count)
		count_started(&ctx->counters->warmup, count - measured);
	count_started(&ctx->counters->messages, measured);
}

/* NULL if all connections have the same target. */
static struct counters_target *
target_of(const struct load_context *ctx, const struct conn *conn)
{
	uint32_t count = ctx->plan->target_count;
	return count < 2
	    ? NULL
	    : &ctx->counters->targets[conn_state_number(ctx, conn) % count];
}

/* Counts answers to measured messages. */
static void
count_at_target(struct load_context *ctx, const struct conn *conn, bool is_correct,
    bool is_timed, uint64_t response_ns, uint64_t count)
{
	struct counters_target *target = target_of(ctx, conn);
	if (target == NULL)
		return;
	counters_add(is_correct ? &target->verified : &target->wrong, count);
	if (is_timed && target->response != NULL)
		histogram_record_many(target->response, response_ns, count);
}

/* `count` messages that were due and sent at the same time are answered. */
static void
account_answers(struct load_context *ctx, struct conn *conn,
    const struct queued_message *message, uint32_t count, bool is_correct,
    uint64_t now_ns)
{
	struct counters_messages *messages = messages_of(ctx, message->intended_ns);
	bool is_measured = is_correct &&
	    message->intended_ns >= ctx->times.measure_ns && !ctx->expectation->none;
	/* A duplicate that came early may be the answer to a message like it. */
	if (now_ns < message->written_ns)
		now_ns = message->written_ns;
	/* A message that needs no answer has kept no other one waiting. */
	if (!ctx->expectation->none && conn->in_flight >= ctx->plan->pipeline &&
	    conn->in_flight - count < ctx->plan->pipeline)
		conn->ready_ns = now_ns;
	conn->in_flight -= count;
	conn->failures = 0;
	ctx->in_flight -= count;
	counters_add(is_correct ? &messages->verified : &messages->wrong, count);
	counters_add(&messages->in_flight, -(uint64_t)count);
	counters_set(&ctx->counters->last_answer_ns, now_ns);
	outage_watch_answered(ctx, conn, message,
	    now_ns - (ctx->sample.weight > 0 ? ctx->sample.waited_ns : 0));
	own_delay_answered(ctx, conn, message, is_measured, count);
	if (message->intended_ns >= ctx->times.measure_ns)
		count_at_target(ctx, conn, is_correct, is_measured,
		    now_ns - message->intended_ns, count);
	if (!is_measured)
		return;
	accounting_record_many(
	    ctx, LATENCY_RESPONSE, now_ns - message->intended_ns, count);
	accounting_record_many(
	    ctx, LATENCY_SERVICE, now_ns - message->written_ns, count);
}

void
accounting_answered(
    struct load_context *ctx, struct conn *conn, bool is_correct, uint64_t now_ns)
{
	struct queued_message message =
	    message_queue_pop(&ctx->message_pool, &conn->queue);
	account_answers(ctx, conn, &message, 1, is_correct, now_ns);
}

/* True if the next message can be accounted for together with that one. */
static bool
is_like(const struct load_context *ctx, const struct conn *conn,
    const struct queued_message *message)
{
	const struct queued_message *next =
	    message_queue_at(&ctx->message_pool, conn->queue.head);
	return next->intended_ns == message->intended_ns &&
	    next->written_ns == message->written_ns && next->own_us == message->own_us;
}

void
accounting_answered_many(
    struct load_context *ctx, struct conn *conn, uint64_t count, uint64_t now_ns)
{
	while (count > 0) {
		struct queued_message message =
		    message_queue_pop(&ctx->message_pool, &conn->queue);
		uint32_t alike = 1;
		for (; alike < count && is_like(ctx, conn, &message); alike++)
			message_queue_pop(&ctx->message_pool, &conn->queue);
		account_answers(ctx, conn, &message, alike, true, now_ns);
		count -= alike;
	}
}

void
accounting_silent(
    struct load_context *ctx, struct conn *conn, uint64_t since_ns, uint64_t at_ns)
{
	if (since_ns < ctx->times.measure_ns)
		since_ns = ctx->times.measure_ns;
	if (at_ns <= since_ns + (uint64_t)conn->silent_us * NS_PER_US)
		return;
	uint64_t silent_ns = at_ns - since_ns;
	uint64_t us = silent_ns / NS_PER_US;
	conn->silent_us = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
	if (silent_ns <= counters_get(&ctx->counters->silence_max_ns))
		return;
	counters_set(&ctx->counters->silence_max_ns, silent_ns);
	counters_set(&ctx->counters->silence_from_ns, since_ns);
}

void
accounting_finished(struct load_context *ctx, struct conn *conn)
{
	counters_add(&ctx->counters->connections_done, 1);
	if (conn->silent_us > 0)
		accounting_record(
		    ctx, LATENCY_SILENCE, (uint64_t)conn->silent_us * NS_PER_US);
}

void
accounting_set_released(struct load_context *ctx, struct conn *conn, uint32_t released)
{
	ctx->released += released;
	ctx->released -= conn->released;
	conn->released = released;
}

/* `is_wrong`: a part of the answer had arrived and was already wrong. */
static void
count_lost_message(struct load_context *ctx, const struct conn *conn,
    struct queued_message message, bool is_wrong, enum message_loss loss)
{
	struct counters_target *target = target_of(ctx, conn);
	struct counters_messages *messages = messages_of(ctx, message.intended_ns);
	uint64_t age_ns = ctx->times.now_ns - message.intended_ns;
	counters_add(is_wrong ? &messages->wrong : &messages->lost[loss], 1);
	counters_add(&messages->in_flight, (uint64_t)-1);
	ctx->in_flight--;
	if (target != NULL && message.intended_ns >= ctx->times.measure_ns)
		counters_add(is_wrong ? &target->wrong : &target->lost, 1);
	if (is_wrong || message.intended_ns < ctx->times.measure_ns)
		return;
	accounting_record(ctx, LATENCY_AGE, age_ns);
	if (age_ns > counters_get(&ctx->counters->oldest_lost_ns))
		counters_set(&ctx->counters->oldest_lost_ns, age_ns);
}

static void
widen(counters_value *min, counters_value *max, uint64_t value, bool is_first)
{
	if (is_first || value < counters_get(min))
		counters_set(min, value);
	if (is_first || value > counters_get(max))
		counters_set(max, value);
}

/* Adds a lost connection to those with the same cause. */
static void
count_lost_connection(
    struct load_context *ctx, const struct conn *conn, enum message_loss loss)
{
	struct counters_losses *losses =
	    &ctx->counters->losses[loss][conn->in_flight > 0];
	uint64_t now_ns = ctx->times.now_ns;
	bool is_first = counters_get(&losses->connections) == 0;
	widen(&losses->silent_min_ns, &losses->silent_max_ns,
	    now_ns - conn->received_ns, is_first);
	widen(&losses->age_min_ns, &losses->age_max_ns, now_ns - conn->opened_ns,
	    is_first);
	widen(&losses->first_ns, &losses->last_ns, now_ns, is_first);
	counters_add(&losses->silent_sum_ns, now_ns - conn->received_ns);
	counters_add(&losses->age_sum_ns, now_ns - conn->opened_ns);
	counters_add(&losses->messages, conn->in_flight);
	counters_add(&losses->connections, 1);
}

static void
add_loss(
    const struct load_context *ctx, const struct conn *conn, enum message_loss loss)
{
	static const enum finding_kind kinds[] = {
		[MESSAGE_LOSS_TIMEOUT] = FINDING_TIMEOUT,
		[MESSAGE_LOSS_RESET] = FINDING_RESET,
		[MESSAGE_LOSS_CLOSED] = FINDING_CLOSED,
		[MESSAGE_LOSS_TLS] = FINDING_CLOSED,
	};
	struct finding finding = {
		.kind = (uint8_t)kinds[loss],
		.connected_ns = conn->connect_ns,
		.connection = conn_state_number(ctx, conn),
	};
	uint64_t since_ns = conn_state_waiting_since(ctx, conn);
	if (since_ns > 0)
		finding.waited_ns = ctx->times.now_ns - since_ns;
	/* It waited for more bytes to judge a damage that is recorded by now. */
	if (loss == MESSAGE_LOSS_TIMEOUT && since_ns == 0)
		return;
	ctx->traffic->place(ctx, conn, &finding);
	findings_add(ctx->counters->findings, &finding, conn->stream.fd);
}

void
accounting_connect_failed(
    struct load_context *ctx, const struct conn *conn, enum connect_failure failure)
{
	const struct finding finding = {
		.kind = failure == CONNECT_FAILURE_TIMEOUT ? FINDING_CONNECT_TIMEOUT
							   : FINDING_CONNECT_RESET,
		.waited_ns = ctx->times.now_ns - conn->connect_ns,
		.connected_ns = conn->connect_ns,
		.connection = conn_state_number(ctx, conn),
	};
	if (failure == CONNECT_FAILURE_TIMEOUT || failure == CONNECT_FAILURE_RESET)
		findings_add(ctx->counters->findings, &finding, conn->stream.fd);
}

/* For comparison with the logs of what lies between client and server. */
static void
record_lost_connection(
    struct load_context *ctx, const struct conn *conn, enum message_loss loss)
{
	struct counters *counters = ctx->counters;
	uint64_t connection = conn_state_number(ctx, conn);
	const struct plan_target *target =
	    &ctx->plan->targets[connection % ctx->plan->target_count];
	/* The traffic has recorded the damage itself. */
	if (loss != MESSAGE_LOSS_MISMATCH)
		add_loss(ctx, conn, loss);
	uint32_t n =
	    atomic_load_explicit(&counters->lost_connections, memory_order_relaxed);
	if (n >= COUNTERS_LOST_MAX)
		return;
	struct counters_lost_connection *out = &counters->lost_connection[n];
	uint64_t unacknowledged = socket_info_unacknowledged(conn->stream.fd);
	if (unacknowledged > 0 && conn->is_write_shut)
		unacknowledged--; /* our FIN */
	*out = (struct counters_lost_connection){
		.connection = connection,
		.at_ns = ctx->times.now_ns,
		.why = loss,
		.unacknowledged = unacknowledged,
		.silent_ns = ctx->times.now_ns - conn->received_ns,
	};
	address_format(&target->addresses[conn->address], out->remote);
	address_format_local(conn->stream.fd, out->local);
	ctx->traffic->outstanding(ctx, conn, out);
	out->messages = conn->in_flight;
	uint64_t since_ns = conn_state_waiting_since(ctx, conn);
	if (since_ns > 0)
		out->waited_ns = ctx->times.now_ns - since_ns;
	atomic_store_explicit(&counters->lost_connections, n + 1, memory_order_release);
}

void
accounting_connection_lost(
    struct load_context *ctx, struct conn *conn, enum message_loss loss)
{
	bool is_wrong = conn->answers.wrong;
	counters_add(&ctx->counters->connections_lost, 1);
	if (loss == MESSAGE_LOSS_RESET)
		counters_add(&ctx->counters->connections_reset, 1);
	count_lost_connection(ctx, conn, loss);
	record_lost_connection(ctx, conn, loss);
	accounting_heard(ctx, conn, ctx->times.now_ns);
	for (; conn->in_flight > 0; conn->in_flight--) {
		struct queued_message message =
		    message_queue_pop(&ctx->message_pool, &conn->queue);
		outage_watch_lost(ctx, conn, &message);
		count_lost_message(ctx, conn, message, is_wrong, loss);
		is_wrong = false; /* of the oldest message only */
	}
}
