#include "client/load/arrivals.h"

#include "lib/clock.h"

#include "client/load/conn.h"
#include "client/load/generator.h"

#define ARRIVALS_MAX 64 /* made due at once, so that answers are read between */

void
arrivals_start(struct generator *generator, uint64_t start_ns)
{
	const struct plan *plan = generator->plan;
	double share = (double)generator->count / plan->rank_connections;
	double rate = plan->rate * share;

	if (plan->load == PLAN_INTERVAL)
		rate = (double)generator->count * 1e9 / (double)plan->interval_ns;
	else if (plan->load != PLAN_OPEN)
		return;
	pacer_start(&generator->arrivals,
	    &(struct pacer_args){
		.start_ns = start_ns,
		.rate = rate,
		.phase = plan_phase(plan, generator->counters->process),
		.poisson = plan->arrivals == PLAN_POISSON,
		.seed = plan->seed + generator->first,
	    });
}

/* The caller whose turn it is. */
static struct conn *
next_conn(struct generator *generator)
{
	uint32_t at = generator->arrival_at++;

	if (generator->plan->load == PLAN_INTERVAL) {
		if (generator->arrival_at == generator->count)
			generator->arrival_at = 0;
		return &generator->conns[at];
	}
	if (generator->plan->arrivals == PLAN_POISSON)
		at = pacer_pick(&generator->arrivals, generator->active_count);
	else if (at >= generator->active_count)
		generator->arrival_at = 1 + (at = 0);
	return &generator->conns[generator->active[at]];
}

/* Nothing is due on a connection that has no more to send, or that a ramp has not begun
 * yet. */
static bool
takes_messages(const struct conn *conn)
{
	return conn->state != CONN_DONE && conn->connect_started;
}

void
arrivals_run(struct generator *generator)
{
	struct pacer *pacer = &generator->arrivals;

	for (int i = 0; i < ARRIVALS_MAX && pacer->next_ns <= generator->now_ns; i++) {
		uint64_t intended = pacer->next_ns;
		if (intended >= generator->end_ns) {
			pacer->next_ns = PACER_NEVER;
			return;
		}
		/* With nobody to send it, it stays due: late is sent late. */
		if (generator->plan->load == PLAN_OPEN && generator->active_count == 0)
			return;
		struct conn *conn = next_conn(generator);
		pacer_take(pacer);
		if (!takes_messages(conn) || !conn_schedule(generator, conn, intended))
			continue;
		generator->now_ns = clock_now_ns();
		conn_advance(generator, conn);
	}
}

void
arrivals_count_missed(struct generator *generator)
{
	struct pacer *pacer = &generator->arrivals;

	if (generator->plan->messages > 0)
		return;
	while (
	    pacer->next_ns <= generator->now_ns && pacer->next_ns < generator->end_ns) {
		if (pacer->next_ns >= generator->measure_ns)
			counters_add(&generator->counters->messages_due, 1);
		pacer_take(pacer);
	}
}
