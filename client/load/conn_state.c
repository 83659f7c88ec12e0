#include "client/load/conn_state.h"

#include <string.h>

#include "lib/clock.h"
#include "client/load/traffic.h"

#define SLOW_READS_PER_S 100 /* of a slow reader, at most */
#define FULL_QUEUE_FIRST_NS NS_PER_MS
#define FULL_QUEUE_DOUBLINGS_MAX 6U

/* Memory per connection: with its timer and its places in two lists. */
_Static_assert(
    sizeof(struct conn) + sizeof(struct timer_wheel_entry) + 2 * sizeof(uint32_t) <=
	256,
    "a connection takes at most 256 bytes");

void
conn_state_init(struct conn *conn)
{
	memset(conn, 0, sizeof(*conn));
	conn->stream.fd = -1;
	conn->state = CONN_WAITING;
	conn->active_index = LOAD_NO_CONN;
	message_queue_init(&conn->queue);
}

bool
conn_state_has_sent_all(const struct load_context *ctx, const struct conn *conn)
{
	uint64_t messages = ctx->plan->messages;
	return messages > 0 && conn->scheduled >= messages && conn->due == 0;
}

bool
conn_state_has_expired(const struct load_context *ctx, const struct conn *conn)
{
	uint64_t max = ctx->plan->messages_per_connection;
	return conn->expires || (max > 0 && conn->sent_on_connection >= max);
}

bool
conn_state_has_work(const struct load_context *ctx, const struct conn *conn)
{
	if (conn_state_has_sent_all(ctx, conn))
		return false;
	return !ctx->is_stopped || (conn->due > 0 && !ctx->is_dropping);
}

void
conn_state_schedule_many(
    struct load_context *ctx, struct conn *conn, uint64_t intended_ns, uint64_t count)
{
	uint64_t messages = ctx->plan->messages;
	if (messages > 0 && count > messages - conn->scheduled)
		count = messages - conn->scheduled;
	for (uint64_t i = 0; i < count; i++)
		message_queue_push(&ctx->message_pool, &conn->queue, intended_ns);
	conn->due += (uint32_t)count;
	conn->scheduled += count;
	if (ctx->plan->load >= PLAN_INTERVAL && intended_ns >= ctx->times.measure_ns)
		counters_add(&ctx->counters->messages_due, count);
	if (conn->scheduled == messages)
		conn_state_deactivate(ctx, conn);
}

bool
conn_state_schedule(struct load_context *ctx, struct conn *conn, uint64_t intended_ns)
{
	uint64_t before = conn->scheduled;
	conn_state_schedule_many(ctx, conn, intended_ns, 1);
	return conn->scheduled > before;
}

void
conn_state_activate(struct load_context *ctx, struct conn *conn)
{
	uint64_t messages = ctx->plan->messages;
	if (conn->active_index != LOAD_NO_CONN ||
	    (messages > 0 && conn->scheduled >= messages))
		return;
	conn->active_index = ctx->active.count;
	ctx->active.list[ctx->active.count++] = conn_state_index(ctx, conn);
}

void
conn_state_deactivate(struct load_context *ctx, struct conn *conn)
{
	uint32_t at = conn->active_index;
	if (at == LOAD_NO_CONN)
		return;
	uint32_t last = ctx->active.list[--ctx->active.count];
	ctx->active.list[at] = last;
	ctx->conns[last].active_index = at;
	conn->active_index = LOAD_NO_CONN;
}

void
conn_state_enqueue_ready(struct load_context *ctx, struct conn *conn)
{
	if (conn->is_ready)
		return;
	conn->is_ready = true;
	conn->next_ready = ctx->ready;
	ctx->ready = conn_state_index(ctx, conn);
}

void
conn_state_skip_unused_turns(struct load_context *ctx)
{
	if (ctx->connects.count == 0 && ctx->connects.pacer.gap_ns > 0)
		pacer_resume(&ctx->connects.pacer, ctx->times.now_ns);
}

void
conn_state_enqueue_connect(struct load_context *ctx, struct conn *conn)
{
	struct load_connects *connects = &ctx->connects;
	uint32_t index = conn_state_index(ctx, conn);
	conn_state_skip_unused_turns(ctx);
	conn->state = CONN_WAITING;
	/* A timer that expired in this state would enqueue it twice. */
	timer_wheel_clear(&ctx->timer_wheel, index);
	connects->queue[(connects->head + connects->count++) % ctx->count] = index;
	connects->pending++;
}

void
conn_state_set_reconnecting(
    struct load_context *ctx, struct conn *conn, bool is_reconnecting)
{
	if (conn->is_reconnecting != is_reconnecting)
		ctx->reconnecting += is_reconnecting ? 1 : -1U;
	conn->is_reconnecting = is_reconnecting;
}

struct conn *
conn_state_dequeue_connect(struct load_context *ctx)
{
	struct load_connects *connects = &ctx->connects;
	if (connects->count == 0)
		return NULL;
	uint32_t index = connects->queue[connects->head];
	connects->head = (connects->head + 1) % ctx->count;
	connects->count--;
	connects->pending--;
	return &ctx->conns[index];
}

uint64_t
conn_state_waiting_since(const struct load_context *ctx, const struct conn *conn)
{
	if (ctx->traffic->waiting_since != NULL)
		return ctx->traffic->waiting_since(ctx, conn);
	if (conn->queue.head == MESSAGE_QUEUE_NONE)
		return 0;
	if (conn->released > 0)
		return conn_state_awaited(conn) > 0 || conn->due > 0 ||
			conn->send.at > 0
		    ? conn->received_ns
		    : 0;
	return message_queue_at(&ctx->message_pool, conn->queue.head)->written_ns;
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t
conn_state_patience_ns(const struct load_context *ctx, const struct conn *conn)
{
	uint64_t timeout_ns = ctx->plan->timeout_ns;
	bool is_drained = ctx->is_stopped && ctx->times.drain_ns == UINT64_MAX;
	return conn->state == CONN_ENDING && is_drained &&
		timeout_ns > PLAN_CLOSE_TIMEOUT_NS
	    ? PLAN_CLOSE_TIMEOUT_NS
	    : timeout_ns;
}

static uint64_t
open_deadline(const struct load_context *ctx, const struct conn *conn)
{
	const struct plan *plan = ctx->plan;
	uint64_t deadline = TIMER_WHEEL_NEVER;
	uint64_t since = conn_state_waiting_since(ctx, conn);
	if (plan->lifetime_ns > 0 && ctx->is_running && !conn->expires &&
	    conn->state == CONN_OPEN)
		deadline = conn->state_since_ns + plan->lifetime_ns;
	if (since != 0)
		deadline = earlier(deadline, since + conn_state_patience_ns(ctx, conn));
	if (ctx->traffic->resume_ns != NULL)
		deadline = earlier(deadline, ctx->traffic->resume_ns(ctx, conn));
	if (conn->is_paused)
		deadline = earlier(deadline,
		    conn_state_slow_next_ns(plan->slow_read, ctx->times.now_ns));
	return deadline;
}

/* The kernel does not tell when a Unix socket's accept queue has room again. The
 * connections of a burst retry at different times. */
static uint64_t
full_queue_retry_ns(const struct load_context *ctx, const struct conn *conn)
{
	unsigned doublings = conn->full_tries - 1U;
	uint64_t delay_ns = FULL_QUEUE_FIRST_NS
	    << (doublings < FULL_QUEUE_DOUBLINGS_MAX ? doublings
						     : FULL_QUEUE_DOUBLINGS_MAX);
	return ctx->times.now_ns + delay_ns +
	    delay_ns * (conn_state_index(ctx, conn) % 16) / 16;
}

void
conn_state_set_timer(struct load_context *ctx, struct conn *conn)
{
	uint64_t deadline = TIMER_WHEEL_NEVER;
	switch ((enum conn_state)conn->state) {
	case CONN_CONNECTING:
	case CONN_HANDSHAKE:
		deadline = conn->state_since_ns + ctx->plan->connect_timeout_ns;
		if (conn->full_tries > 0)
			deadline = earlier(deadline, full_queue_retry_ns(ctx, conn));
		break;
	case CONN_CLOSING:
		/* With --half-close our FIN may be older than the last answer. */
		deadline = conn->received_ns > conn->state_since_ns
		    ? conn->received_ns
		    : conn->state_since_ns;
		deadline += PLAN_CLOSE_TIMEOUT_NS;
		break;
	case CONN_OPENING:
	case CONN_OPEN:
	case CONN_ENDING:
		deadline = open_deadline(ctx, conn);
		break;
	case CONN_WAITING:
	case CONN_DONE:
		return;
	}
	timer_wheel_set(&ctx->timer_wheel, conn_state_index(ctx, conn), deadline);
}

size_t
conn_state_slow_bytes(uint64_t bytes_per_s)
{
	uint64_t bytes = bytes_per_s / SLOW_READS_PER_S;
	if (bytes == 0)
		return 1;
	return bytes < LOAD_BUFFER_BYTES ? bytes : LOAD_BUFFER_BYTES;
}

uint64_t
conn_state_slow_next_ns(uint64_t bytes_per_s, uint64_t now_ns)
{
	double bytes = (double)conn_state_slow_bytes(bytes_per_s);
	uint64_t interval_ns = (uint64_t)(bytes * 1e9 / (double)bytes_per_s);
	return (now_ns / interval_ns + 1) * interval_ns;
}
