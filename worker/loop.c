#include "worker/loop.h"

#include <time.h>

#include "worker/worker_state.h"

static uint64_t
monotonic_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* A number that grows with everything that comes from a peer. */
static uint64_t
traffic(const struct worker *worker)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < worker->listener_count; i++) {
		const struct ledger_block *block = worker->listeners[i].block;
		sum += ledger_read(block, LEDGER_BYTES_RECEIVED) +
		    ledger_read(block, LEDGER_CONNECTIONS_ACCEPTED);
	}
	return sum;
}

static void
run_spinning(struct worker *worker)
{
	uint64_t seen = traffic(worker), last_ns = 0;
	bool spins = false;
	do {
		/* Without sleep it comes back when there is nothing to do. */
		event_base_loop(worker->base, spins ? EVLOOP_NONBLOCK : EVLOOP_ONCE);
		uint64_t now_ns = monotonic_ns();
		if (traffic(worker) != seen) {
			seen = traffic(worker);
			last_ns = now_ns;
		}
		spins = now_ns - last_ns < worker->config->spin_ns;
	} while (!event_base_got_break(worker->base));
}

void
loop_run(struct worker *worker)
{
	if (worker->config->spin_ns == 0)
		event_base_dispatch(worker->base);
	else
		run_spinning(worker);
}
