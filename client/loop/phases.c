#include "client/loop/phases.h"

#include <unistd.h>

#include "lib/clock.h"
#include "client/load/conn.h"
#include "client/load/conn_tls.h"
#include "client/load/traffic.h"
#include "client/loop/arrivals.h"
#include "client/loop/loop_stats.h"

#define LATE_MAX_NS (100 * NS_PER_MS)

static void
notify_parent(struct load_context *ctx)
{
	uint64_t one = 1;
	/* A full eventfd is already readable: the parent wakes up anyway. */
	if (write(ctx->parent_fd, &one, sizeof(one)) < 0)
		return;
}

static void
start_connect_pacer(const struct load_context *ctx, struct pacer *pacer, double rate)
{
	*pacer = (struct pacer){ .next_ns = 0 };
	if (rate > 0)
		pacer_start(pacer,
		    &(struct pacer_args){
			.start_ns = ctx->times.now_ns,
			.rate = rate,
			.phase = plan_phase(ctx->plan, ctx->counters->process),
		    });
}

void
phases_start(struct load_context *ctx)
{
	const struct plan *plan = ctx->plan;
	double share = (double)ctx->count / plan->rank_connections;
	ctx->times.measure_ns = ctx->times.end_ns = UINT64_MAX;
	ctx->times.sample_ns = ctx->times.drain_ns = UINT64_MAX;
	ctx->arrivals.next_ns = PACER_NEVER;
	start_connect_pacer(ctx, &ctx->connects.pacer, plan->connect_rate * share);
	if (plan->ramp_ns > 0)
		start_connect_pacer(ctx, &ctx->connects.ramp,
		    (double)ctx->count * 1e9 / (double)plan->ramp_ns);
	atomic_store(&ctx->counters->phase, PHASE_CONNECTING);
}

/* Spreads the ages of the first connections over the lifetime, so that they do not all
 * end together. */
static void
stagger_lifetimes(struct load_context *ctx)
{
	uint64_t lifetime = ctx->plan->lifetime_ns;
	for (uint32_t i = 0; i < ctx->active.count; i++) {
		struct conn *conn = &ctx->conns[ctx->active.list[i]];
		uint64_t age = lifetime / ctx->active.count * i;
		conn->state_since_ns = ctx->times.now_ns - age;
		conn_state_set_timer(ctx, conn);
	}
}

static void
start(struct load_context *ctx, uint64_t start_ns)
{
	const struct plan *plan = ctx->plan;
	ctx->is_running = true;
	ctx->times.measure_ns = start_ns + plan->warmup_ns;
	if (plan->duration_ns > 0)
		ctx->times.end_ns = ctx->times.measure_ns + plan->duration_ns;
	counters_set(&ctx->counters->started_ns, start_ns);
	atomic_store(&ctx->counters->phase, PHASE_RUNNING);
	loop_stats_start(ctx);
	arrivals_start(ctx, start_ns);
	if (plan->lifetime_ns > 0)
		stagger_lifetimes(ctx);
	if (plan->load != PLAN_CLOSED)
		return;
	/* Backwards, because conn_advance may remove the connection from the list. */
	for (uint32_t i = ctx->active.count; i > 0; i--) {
		uint32_t index = ctx->active.list[i - 1];
		ctx->times.now_ns = clock_now_ns();
		conn_advance(ctx, &ctx->conns[index]);
	}
}

/* Lockstep: every open connection sends the message of this round. */
static void
start_round(struct load_context *ctx, uint64_t round)
{
	for (uint32_t i = ctx->active.count; i > 0; i--) {
		struct conn *conn = &ctx->conns[ctx->active.list[i - 1]];
		/* With a number of messages each connection sends all of them. */
		if (conn->scheduled < round && ctx->plan->messages == 0 &&
		    conn->in_flight == 0) {
			ctx->traffic->seek(ctx, conn, round);
			conn->scheduled = round;
		}
		ctx->times.now_ns = clock_now_ns();
		if (conn_state_schedule(ctx, conn, ctx->times.now_ns))
			conn_advance(ctx, conn);
	}
	ctx->round = round + 1;
}

/* A round is over when its answers are there. With a number of messages, the next one
 * waits for connections that were lost. */
static bool
is_between_rounds(const struct load_context *ctx)
{
	return ctx->in_flight == ctx->released &&
	    (ctx->plan->messages == 0 || ctx->reconnecting == 0);
}

static void
step_lockstep(struct load_context *ctx)
{
	struct control_block *control_block = ctx->control_block;
	uint64_t done = ctx->unfinished == 0 ? UINT64_MAX : ctx->round;
	if (is_between_rounds(ctx) &&
	    counters_get(&ctx->counters->rounds_done) < done) {
		counters_set(&ctx->counters->rounds_done, done);
		if (ctx->plan->processes > 1)
			notify_parent(ctx);
		else
			atomic_store(&control_block->round, ctx->round);
	}
	uint64_t round = atomic_load(&control_block->round);
	if (ctx->is_running && round >= ctx->round && is_between_rounds(ctx))
		start_round(ctx, round);
}

/* A connection that waits for its delay after a failure, or for its turn in --ramp. */
static void
cancel_waiting(struct load_context *ctx, struct conn *conn)
{
	if (!conn->connect_started)
		ctx->connects.pending--;
	conn_close(ctx, conn, CONN_CLOSE_CANCELLED);
}

/* Ends the connections that have nothing left to do. */
static void
close_idle(struct load_context *ctx)
{
	for (uint32_t i = ctx->connects.count; i > 0; i--) {
		struct conn *conn = conn_state_dequeue_connect(ctx);
		if (conn_state_has_work(ctx, conn))
			conn_state_enqueue_connect(ctx, conn);
		else
			conn_close(ctx, conn, CONN_CLOSE_CANCELLED);
	}
	for (uint32_t i = 0; i < ctx->count; i++) {
		struct conn *conn = &ctx->conns[i];
		if (conn->state == CONN_OPEN || conn->state == CONN_ENDING)
			conn_advance(ctx, conn);
		else if (conn_state_has_work(ctx, conn))
			continue;
		else if (conn->state == CONN_CONNECTING ||
		    conn->state == CONN_OPENING || conn->state == CONN_HANDSHAKE)
			conn_close(ctx, conn, CONN_CLOSE_CANCELLED);
		else if (conn->state == CONN_WAITING)
			cancel_waiting(ctx, conn);
	}
}

/* A process that is behind its schedule gives the messages that were due before the end
 * to their connections until then; the others are never sent. At the end itself a
 * wake-up may be a little late. */
static uint64_t
schedule_end_ns(const struct load_context *ctx)
{
	uint64_t drain_ns = ctx->plan->drain_ns;
	if (ctx->times.end_ns == UINT64_MAX)
		return UINT64_MAX;
	return ctx->times.end_ns + (drain_ns > LATE_MAX_NS ? drain_ns : LATE_MAX_NS);
}

/* The drain is counted from the planned end, so that it bounds the run. */
static uint64_t
drain_end_ns(const struct load_context *ctx)
{
	uint64_t end_ns = ctx->times.end_ns < ctx->times.now_ns ? ctx->times.end_ns
								: ctx->times.now_ns;
	return end_ns + ctx->plan->drain_ns;
}

/* Nothing more becomes due. Messages that a schedule made due before the end are still
 * sent, late, and their answers awaited until the end of the drain; if the operator
 * stops the run, they are dropped. */
static void
stop(struct load_context *ctx, bool by_request)
{
	if (by_request)
		arrivals_run(ctx); /* what is due at this moment */
	loop_stats_finish(ctx);
	arrivals_count_missed(ctx);
	ctx->is_running = false;
	ctx->is_stopped = true;
	ctx->is_dropping = by_request || ctx->plan->load < PLAN_INTERVAL;
	ctx->arrivals.next_ns = PACER_NEVER;
	ctx->connects.ramp_started = ctx->count;
	ctx->times.drain_ns = drain_end_ns(ctx);
	counters_set(&ctx->counters->stopped_ns, ctx->times.now_ns);
	atomic_store(&ctx->counters->phase, PHASE_DRAINING);
	close_idle(ctx);
}

/* Messages unanswered at the end of the drain are lost. */
static void
end_drain(struct load_context *ctx)
{
	ctx->times.drain_ns = UINT64_MAX;
	ctx->is_dropping = true;
	for (uint32_t i = 0; i < ctx->count; i++) {
		struct conn *conn = &ctx->conns[i];
		if (conn->state == CONN_OPEN && conn_state_awaited(conn) > 0)
			conn_close(ctx, conn, CONN_CLOSE_TIMEOUT);
		else if (conn->state == CONN_ENDING)
			conn_state_set_timer(ctx, conn);
	}
	close_idle(ctx);
}

/* With --ramp the load starts before all connections are there; lockstep needs all. */
static bool
may_start(const struct load_context *ctx)
{
	const struct plan *plan = ctx->plan;
	return ctx->connects.pending == 0 ||
	    (plan->ramp_ns > 0 && plan->load != PLAN_LOCKSTEP);
}

static void
step_start(struct load_context *ctx)
{
	uint64_t start_ns = atomic_load(&ctx->control_block->start_ns);
	if (atomic_load(&ctx->counters->phase) == PHASE_CONNECTING && may_start(ctx)) {
		conn_tls_on_connected(ctx);
		atomic_store(&ctx->counters->phase, PHASE_WAITING);
		notify_parent(ctx);
	}
	if (atomic_load(&ctx->counters->phase) == PHASE_WAITING && start_ns != 0 &&
	    ctx->times.now_ns >= start_ns)
		start(ctx, start_ns);
}

/* Messages may be given to connections now. With --interval each has its own, which are
 * due also while it is lost. */
static bool
has_takers(const struct load_context *ctx)
{
	return ctx->active.count > 0 || ctx->plan->load == PLAN_INTERVAL;
}

void
phases_step(struct load_context *ctx)
{
	uint32_t asked = atomic_load(&ctx->control_block->stop);
	if (ctx->connects.pending == 0 &&
	    counters_get(&ctx->counters->connected_ns) == 0)
		counters_set(&ctx->counters->connected_ns, ctx->times.now_ns);
	if (!ctx->is_running && !ctx->is_stopped)
		step_start(ctx);
	if (ctx->is_running && ctx->plan->load == PLAN_LOCKSTEP)
		step_lockstep(ctx);
	bool arrived = ctx->arrivals.next_ns >= ctx->times.end_ns ||
	    (!has_takers(ctx) && ctx->opening == 0);
	bool over = ctx->times.now_ns >= ctx->times.end_ns &&
	    (arrived || ctx->times.now_ns >= schedule_end_ns(ctx));
	if (!ctx->is_stopped && (asked > 0 || over || ctx->unfinished == 0))
		stop(ctx, asked > 0);
	if (asked > 0 && !ctx->is_dropping) {
		ctx->is_dropping = true;
		close_idle(ctx);
	}
	if (ctx->is_stopped && ctx->times.received_ns >= ctx->times.drain_ns)
		end_drain(ctx);
}

uint64_t
phases_next_ns(const struct load_context *ctx)
{
	uint64_t start_ns = atomic_load(&ctx->control_block->start_ns);
	uint64_t end_ns = ctx->times.end_ns, arrival_ns = ctx->arrivals.next_ns;
	if (ctx->is_stopped)
		return ctx->times.drain_ns;
	if (!ctx->is_running)
		return start_ns != 0 &&
			atomic_load(&ctx->counters->phase) == PHASE_WAITING
		    ? start_ns
		    : UINT64_MAX;
	if (ctx->plan->load == PLAN_LOCKSTEP && ctx->active.count > 0 &&
	    is_between_rounds(ctx) &&
	    counters_get(&ctx->counters->rounds_done) < ctx->round)
		return 0; /* a round without answers is over at once */
	if (ctx->times.now_ns >= end_ns && !has_takers(ctx) && ctx->opening > 0)
		return schedule_end_ns(ctx);
	return arrival_ns < end_ns && has_takers(ctx) ? arrival_ns : end_ns;
}

bool
phases_are_over(const struct load_context *ctx)
{
	return ctx->is_stopped &&
	    (ctx->unfinished == 0 || atomic_load(&ctx->control_block->stop) > 1);
}

void
phases_finish(struct load_context *ctx)
{
	ctx->times.now_ns = clock_now_ns();
	counters_set(&ctx->counters->finished_ns, ctx->times.now_ns);
	atomic_store(&ctx->counters->phase, PHASE_FINISHED);
	notify_parent(ctx);
}
