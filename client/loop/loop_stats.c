#include "client/loop/loop_stats.h"

#include <sys/resource.h>

#include "lib/clock.h"
#include "client/load/accounting.h"
#include "client/load/conn_tls.h"
#include "client/measure/cpu_wait.h"

#define SAMPLE_NS NS_PER_S
/* The loop never sleeps longer while the load runs, so that a stop of the process shows
 * as a late wake-up. */
#define SLEEP_MAX_NS (10 * NS_PER_MS)
/* A later wake-up is explained; a shorter stop is not told from a page fault. */
#define LATE_NS NS_PER_MS
#define STOP_MIN_NS (10 * NS_PER_MS)

static struct rusage at_start;
static struct cpu_wait wait_at_start, wait_before;

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
	wait_before = cpu_wait_self();
	counters_set(
	    &counters->cpu_wait_ns, wait_before.wait_ns - wait_at_start.wait_ns);
}

/* The time since the last turn during which the process did not sleep, had no need to
 * wait for a CPU and did not run: SIGSTOP, a debugger, a frozen control group, a
 * suspended machine, a page that was swapped out. */
static void
explain_late_turn(struct load_context *ctx, uint64_t turn_ns)
{
	struct cpu_wait now = cpu_wait_self();
	uint64_t known_ns = SLEEP_MAX_NS + (now.cpu_ns - wait_before.cpu_ns) +
	    (now.wait_ns - wait_before.wait_ns);
	if (now.cpu_ns > 0 && turn_ns > known_ns + STOP_MIN_NS)
		counters_add(&ctx->counters->not_run_ns, turn_ns - known_ns);
	wait_before = now;
}

void
loop_stats_start(struct load_context *ctx)
{
	getrusage(RUSAGE_SELF, &at_start);
	wait_at_start = wait_before = cpu_wait_self();
	ctx->times.sample_ns = ctx->times.now_ns + SAMPLE_NS;
}

void
loop_stats_turn(struct load_context *ctx, uint64_t wake_ns)
{
	struct counters *counters = ctx->counters;
	uint64_t lag = ctx->times.now_ns - wake_ns;
	uint64_t turn_ns = ctx->times.now_ns - ctx->times.turn_ns;
	counters_add(&counters->loops, 1);
	ctx->times.turn_ns = ctx->times.now_ns;
	if (ctx->times.now_ns >= ctx->times.sample_ns) {
		sample(ctx);
		conn_tls_sweep(ctx);
		ctx->times.sample_ns = ctx->times.now_ns + SAMPLE_NS;
	}
	if (wake_ns == 0 || ctx->times.now_ns < wake_ns || !ctx->is_running)
		return;
	if (lag > LATE_NS)
		explain_late_turn(ctx, turn_ns);
	accounting_record(ctx, LATENCY_LOOP_LAG, lag);
	if (lag > counters_get(&counters->loop_lag_max_ns))
		counters_set(&counters->loop_lag_max_ns, lag);
}

uint64_t
loop_stats_next_ns(const struct load_context *ctx)
{
	return ctx->is_running ? ctx->times.turn_ns + SLEEP_MAX_NS : UINT64_MAX;
}

void
loop_stats_finish(struct load_context *ctx)
{
	if (ctx->is_running)
		sample(ctx);
	ctx->times.sample_ns = UINT64_MAX;
}
