#include "client/meter.h"

#include <sys/resource.h>

#include "client/generator.h"

#define SAMPLE_NS UINT64_C(1000000000)

static struct rusage at_start; /* of this process */

static uint64_t
since(const struct timeval *now, const struct timeval *then)
{
	int64_t us = (now->tv_sec - then->tv_sec) * INT64_C(1000000) +
	    (now->tv_usec - then->tv_usec);

	return (uint64_t)us * 1000;
}

static void
store(tally_count *count, uint64_t value)
{
	atomic_store_explicit(count, value, memory_order_relaxed);
}

static void
sample(struct generator *generator)
{
	struct tally *tally = generator->tally;
	struct rusage now;

	if (getrusage(RUSAGE_SELF, &now) < 0)
		return;
	store(&tally->cpu_user_ns, since(&now.ru_utime, &at_start.ru_utime));
	store(&tally->cpu_system_ns, since(&now.ru_stime, &at_start.ru_stime));
	store(&tally->context_switches, (uint64_t)(now.ru_nivcsw - at_start.ru_nivcsw));
}

void
meter_start(struct generator *generator)
{
	getrusage(RUSAGE_SELF, &at_start);
	generator->sample_ns = generator->now_ns + SAMPLE_NS;
}

void
meter_turn(struct generator *generator, uint64_t wake_ns, int events)
{
	struct tally *tally = generator->tally;
	uint64_t lag = generator->now_ns - wake_ns;

	tally_add(&tally->loops, 1);
	if (generator->now_ns >= generator->sample_ns) {
		sample(generator);
		generator->sample_ns = generator->now_ns + SAMPLE_NS;
	}
	if (events > 0 || wake_ns == 0 || generator->now_ns < wake_ns ||
	    !generator->is_running)
		return;
	generator_record(generator, TALLY_LOOP_LAG, lag);
	if (lag > tally_get(&tally->loop_lag_max_ns))
		store(&tally->loop_lag_max_ns, lag);
}

void
meter_finish(struct generator *generator)
{
	if (generator->is_running)
		sample(generator);
	generator->sample_ns = UINT64_MAX;
}
