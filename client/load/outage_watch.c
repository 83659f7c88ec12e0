#include "client/load/outage_watch.h"

#include <stdlib.h>

#include "lib/clock.h"
#include "lib/xmalloc.h"

struct outage_watch {
	uint64_t since_ns;    /* oldest message that was lost since the last answer,
				 or loss of the connection; 0: none */
	uint64_t opened_ns;   /* the connection that replaces it; 0: not yet */
	uint64_t answered_ns; /* arrival of the last answer; 0: none yet */
	uint32_t own_us;      /* of since_ns: by which this client sent it late */
	int16_t server;       /* that answered last; -1: not known */
	uint8_t how;          /* enum outage_end: of the period that goes on */
	bool is_idle_loss; /* since_ns is the loss: no message waited for an answer */
};

void
outage_watch_start(struct load_context *ctx)
{
	if (ctx->plan->hold_ns == 0)
		return;
	ctx->watches = xcalloc(ctx->count, sizeof(*ctx->watches));
	for (uint32_t i = 0; i < ctx->count; i++)
		ctx->watches[i].server = -1;
}

static struct outage_watch *
watch_of(const struct load_context *ctx, const struct conn *conn)
{
	return &ctx->watches[conn_state_index(ctx, conn)];
}

/* Periods that end in the warm-up are not measured. */
static void
add(struct load_context *ctx, const struct conn *conn, uint64_t begin_ns,
    uint64_t end_ns, uint64_t own_ns, enum outage_end how)
{
	uint64_t short_ns = ctx->plan->hold_ns;
	const struct outage outage = {
		.begin_ns = begin_ns,
		.end_ns = end_ns,
		.connection = (uint32_t)conn_state_number(ctx, conn),
		.end = (uint8_t)how,
	};
	if (end_ns < ctx->times.measure_ns)
		return;
	outages_add(ctx->counters->outages, &outage);
	if (how != OUTAGE_LOST)
		outages_add_own(ctx->counters->outages, own_ns,
		    end_ns - begin_ns <= short_ns + own_ns);
}

/* When the wait for an answer began in which this message is the first. */
static uint64_t
begin_of(const struct outage_watch *watch, uint64_t intended_ns)
{
	if (watch->since_ns != 0)
		return watch->since_ns;
	return intended_ns > watch->answered_ns ? intended_ns : watch->answered_ns;
}

/* The part of that wait in which the message was not sent yet, for this client was
 * late.
 */
static uint64_t
own_of(const struct outage_watch *watch, const struct queued_message *message)
{
	if (watch->since_ns != 0)
		return (uint64_t)watch->own_us * NS_PER_US;
	uint64_t begin_ns = begin_of(watch, message->intended_ns);
	uint64_t own_ns = (uint64_t)message->own_us * NS_PER_US;
	uint64_t unsent_ns =
	    message->written_ns > begin_ns ? message->written_ns - begin_ns : 0;
	return own_ns < unsent_ns ? own_ns : unsent_ns;
}

/* The period of a connection that was lost while it was idle is over when it is
 * replaced, unless a message was due before. This is the next message. */
static void
end_idle_loss(struct load_context *ctx, const struct conn *conn, uint64_t intended_ns)
{
	struct outage_watch *watch = watch_of(ctx, conn);
	if (!watch->is_idle_loss || watch->opened_ns == 0 ||
	    intended_ns <= watch->opened_ns)
		return;
	if (watch->opened_ns > watch->since_ns + ctx->plan->hold_ns)
		add(ctx, conn, watch->since_ns, watch->opened_ns, 0,
		    (enum outage_end)watch->how);
	watch->since_ns = 0;
	watch->is_idle_loss = false;
	watch->how = OUTAGE_ANSWERED;
}

void
outage_watch_take_answer(struct load_context *ctx, const struct conn *conn,
    const struct queued_message *message, uint64_t arrived_ns)
{
	struct outage_watch *watch = watch_of(ctx, conn);
	end_idle_loss(ctx, conn, message->intended_ns);
	uint64_t begin_ns = begin_of(watch, message->intended_ns);
	if (arrived_ns > begin_ns + ctx->plan->hold_ns)
		add(ctx, conn, begin_ns, arrived_ns, own_of(watch, message),
		    (enum outage_end)watch->how);
	watch->since_ns = 0;
	watch->is_idle_loss = false;
	watch->answered_ns = arrived_ns;
	watch->how = OUTAGE_ANSWERED;
}

void
outage_watch_take_loss(struct load_context *ctx, const struct conn *conn,
    const struct queued_message *message)
{
	struct outage_watch *watch = watch_of(ctx, conn);
	end_idle_loss(ctx, conn, message->intended_ns);
	watch->own_us = (uint32_t)(own_of(watch, message) / NS_PER_US);
	watch->since_ns = begin_of(watch, message->intended_ns);
}

void
outage_watch_take_reconnect(struct load_context *ctx, const struct conn *conn)
{
	struct outage_watch *watch = watch_of(ctx, conn);
	/* One that is lost again before the limit is over did not end the period. */
	if (conn->queue.head == MESSAGE_QUEUE_NONE &&
	    ctx->times.now_ns > watch->opened_ns + ctx->plan->hold_ns)
		end_idle_loss(ctx, conn, ctx->times.now_ns);
	watch->how = OUTAGE_RECONNECTED;
	watch->opened_ns = 0;
	/* The messages of an open loop go to connections that are established: none
	 * becomes due on this one from here on. */
	if (ctx->plan->load == PLAN_OPEN && watch->since_ns == 0 &&
	    conn->queue.head == MESSAGE_QUEUE_NONE) {
		watch->since_ns = ctx->times.now_ns;
		watch->own_us = 0;
		watch->is_idle_loss = true;
	}
}

void
outage_watch_take_opening(struct load_context *ctx, const struct conn *conn)
{
	watch_of(ctx, conn)->opened_ns = ctx->times.now_ns;
}

void
outage_watch_take_server(struct load_context *ctx, const struct conn *conn, int server)
{
	struct outage_watch *watch = watch_of(ctx, conn);
	if (watch->server >= 0 && watch->server != server)
		watch->how = OUTAGE_OTHER_SERVER;
	watch->server = (int16_t)server;
}

/* One that is lost has no answer from now on, however short the wait was. */
void
outage_watch_take_end(
    struct load_context *ctx, const struct conn *conn, enum outage_end how)
{
	struct outage_watch *watch = watch_of(ctx, conn);
	struct queued_message none = { .intended_ns = ctx->times.now_ns };
	const struct queued_message *message = conn->queue.head == MESSAGE_QUEUE_NONE
	    ? &none
	    : message_queue_at(&ctx->message_pool, conn->queue.head);
	end_idle_loss(ctx, conn, message->intended_ns);
	uint64_t begin_ns = begin_of(watch, message->intended_ns);
	if (how == OUTAGE_LOST || ctx->times.now_ns > begin_ns + ctx->plan->hold_ns)
		add(ctx, conn, begin_ns, ctx->times.now_ns, own_of(watch, message),
		    how);
	watch->since_ns = 0;
	watch->is_idle_loss = false;
}

void
outage_watch_finish(struct load_context *ctx)
{
	if (ctx->watches == NULL)
		return;
	for (uint32_t i = 0; i < ctx->count; i++)
		outage_watch_take_end(ctx, &ctx->conns[i], OUTAGE_OPEN);
	free(ctx->watches);
	ctx->watches = NULL;
}
