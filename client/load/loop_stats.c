#include "client/load/loop_stats.h"

#include <sys/resource.h>

#include "lib/clock.h"

#include "client/load/generator.h"

#define SAMPLE_NS NS_PER_S

static struct rusage at_start; /* of this process */

static uint64_t
since(const struct timeval *now, const struct timeval *then)
{
	int64_t us = (now->tv_sec - then->tv_sec) * INT64_C(1000000) +
	    (now->tv_usec - then->tv_usec);

	return (uint64_t)us * 1000;
}

static void
store(counters_value *count, uint64_t value)
{
	atomic_store_explicit(count, value, memory_order_relaxed);
}

static void
sample(struct generator *generator)
{
	struct counters *counters = generator->counters;
	struct rusage now;

	if (getrusage(RUSAGE_SELF, &now) < 0)
		return;
	store(&counters->cpu_user_ns, since(&now.ru_utime, &at_start.ru_utime));
	store(&counters->cpu_system_ns, since(&now.ru_stime, &at_start.ru_stime));
	store(&counters->context_switches,
	    (uint64_t)(now.ru_nivcsw - at_start.ru_nivcsw));
}

void
loop_stats_start(struct generator *generator)
{
	getrusage(RUSAGE_SELF, &at_start);
	generator->sample_ns = generator->now_ns + SAMPLE_NS;
}

void
loop_stats_turn(struct generator *generator, uint64_t wake_ns, int events)
{
	struct counters *counters = generator->counters;
	uint64_t lag = generator->now_ns - wake_ns;

	counters_add(&counters->loops, 1);
	if (generator->now_ns >= generator->sample_ns) {
		sample(generator);
		generator->sample_ns = generator->now_ns + SAMPLE_NS;
	}
	if (events > 0 || wake_ns == 0 || generator->now_ns < wake_ns ||
	    !generator->is_running)
		return;
	generator_record(generator, LATENCY_LOOP_LAG, lag);
	if (lag > counters_get(&counters->loop_lag_max_ns))
		store(&counters->loop_lag_max_ns, lag);
}

void
loop_stats_finish(struct generator *generator)
{
	if (generator->is_running)
		sample(generator);
	generator->sample_ns = UINT64_MAX;
}
