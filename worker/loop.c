#include "worker/loop.h"

#include "lib/clock.h"

#include "worker/worker_state.h"

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
		uint64_t now_ns = clock_now_ns();
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
