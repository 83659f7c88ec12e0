#include "client/load/loop_stats.h"

#include <sys/resource.h>

#include "lib/clock.h"
#include "client/load/accounting.h"

#define SAMPLE_NS NS_PER_S

static struct rusage at_start;

static uint64_t
since(const struct timeval *now, const struct timeval *then)
{
	int64_t us = (now->tv_sec - then->tv_sec) * INT64_C(1000000) +
	    (now->tv_usec - then->tv_usec);
	return (uint64_t)us * 1000;
}

static void
sample(struct load_context *ctx)
{
	struct counters *counters = ctx->counters;
	struct rusage now;
	if (getrusage(RUSAGE_SELF, &now) < 0)
		return;
	counters_set(&counters->cpu_user_ns, since(&now.ru_utime, &at_start.ru_utime));
	counters_set(
	    &counters->cpu_system_ns, since(&now.ru_stime, &at_start.ru_stime));
	counters_set(&counters->context_switches,
	    (uint64_t)(now.ru_nivcsw - at_start.ru_nivcsw));
}

void
loop_stats_start(struct load_context *ctx)
{
	getrusage(RUSAGE_SELF, &at_start);
	ctx->times.sample_ns = ctx->times.now_ns + SAMPLE_NS;
}

void
loop_stats_turn(struct load_context *ctx, uint64_t wake_ns, int events)
{
	struct counters *counters = ctx->counters;
	uint64_t lag = ctx->times.now_ns - wake_ns;
	counters_add(&counters->loops, 1);
	if (ctx->times.now_ns >= ctx->times.sample_ns) {
		sample(ctx);
		ctx->times.sample_ns = ctx->times.now_ns + SAMPLE_NS;
	}
	if (events > 0 || wake_ns == 0 || ctx->times.now_ns < wake_ns ||
	    !ctx->is_running)
		return;
	accounting_record(ctx, LATENCY_LOOP_LAG, lag);
	if (lag > counters_get(&counters->loop_lag_max_ns))
		counters_set(&counters->loop_lag_max_ns, lag);
}

void
loop_stats_finish(struct load_context *ctx)
{
	if (ctx->is_running)
		sample(ctx);
	ctx->times.sample_ns = UINT64_MAX;
}
