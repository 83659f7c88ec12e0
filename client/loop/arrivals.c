#include "client/loop/arrivals.h"

#include "lib/clock.h"
#include "client/load/conn.h"

#define ARRIVALS_MAX 64 /* per call, so that answers are read in between */

void
arrivals_start(struct load_context *ctx, uint64_t start_ns)
{
	const struct plan *plan = ctx->plan;
	struct pacer_args args = {
		.start_ns = start_ns,
		.rate = plan->rate_all,
		.phase = 0.5,
		.seed = plan->seed + ctx->first,
	};
	if (plan->load < PLAN_INTERVAL)
		return;
	if (plan->load == PLAN_INTERVAL)
		args.rate = plan->connections * 1e9 / (double)plan->interval_ns;
	if (plan->arrivals == PLAN_POISSON) {
		/* Independent Poisson processes are one together. */
		args.poisson = true;
		args.rate = plan->rate * ctx->count / plan->rank_connections;
	} else {
		args.of_rank = (struct pacer_share){ .whole = plan->connections,
			.own = plan->rank_connections,
			.parts = plan->ranks,
			.part = plan->rank };
		args.of_process = (struct pacer_share){ .whole = plan->rank_connections,
			.own = ctx->count,
			.parts = plan->processes,
			.part = ctx->counters->process };
	}
	pacer_start(&ctx->arrivals, &args);
}

static struct conn *
next_conn(struct load_context *ctx)
{
	uint32_t at = ctx->next_arrival++;
	if (ctx->plan->load == PLAN_INTERVAL) {
		if (ctx->next_arrival == ctx->count)
			ctx->next_arrival = 0;
		return &ctx->conns[at];
	}
	if (ctx->plan->arrivals == PLAN_POISSON)
		at = pacer_pick(&ctx->arrivals, ctx->active.count);
	else if (at >= ctx->active.count)
		ctx->next_arrival = 1 + (at = 0);
	return &ctx->conns[ctx->active.list[at]];
}

/* False for a connection that has sent everything or that --ramp has not started. */
static bool
takes_messages(const struct conn *conn)
{
	return conn->state != CONN_DONE && conn->connect_started;
}

void
arrivals_run(struct load_context *ctx)
{
	struct pacer *pacer = &ctx->arrivals;
	for (int i = 0; i < ARRIVALS_MAX && pacer->next_ns <= ctx->times.now_ns; i++) {
		uint64_t intended = pacer->next_ns;
		if (intended >= ctx->times.end_ns) {
			pacer->next_ns = PACER_NEVER;
			return;
		}
		/* No connection can send it: it stays due. */
		if (ctx->plan->load == PLAN_OPEN && ctx->active.count == 0)
			return;
		struct conn *conn = next_conn(ctx);
		pacer_take(pacer);
		if (!takes_messages(conn) || !conn_state_schedule(ctx, conn, intended))
			continue;
		ctx->times.now_ns = clock_now_ns();
		conn_advance(ctx, conn);
	}
}

void
arrivals_count_missed(struct load_context *ctx)
{
	const struct load_times *times = &ctx->times;
	struct pacer *pacer = &ctx->arrivals;
	uint64_t until_ns =
	    times->now_ns < times->end_ns ? times->now_ns + 1 : times->end_ns;
	if (ctx->plan->messages > 0 || pacer->next_ns == PACER_NEVER)
		return;
	pacer_take_until(
	    pacer, until_ns < times->measure_ns ? until_ns : times->measure_ns);
	counters_add(&ctx->counters->messages_due, pacer_take_until(pacer, until_ns));
}
