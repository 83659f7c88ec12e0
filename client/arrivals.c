#include "client/arrivals.h"

#include "client/caller.h"
#include "client/generator.h"

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
	pace_start(&generator->arrivals,
	    &(struct pace_args){
		.start_ns = start_ns,
		.rate = rate,
		.phase = plan_phase(plan, generator->tally->process),
		.poisson = plan->arrivals == PLAN_POISSON,
		.seed = plan->seed + generator->first,
	    });
}

/* The caller whose turn it is. */
static struct caller *
next_caller(struct generator *generator)
{
	uint32_t at = generator->arrival_at++;

	if (generator->plan->load == PLAN_INTERVAL) {
		if (generator->arrival_at == generator->count)
			generator->arrival_at = 0;
		return &generator->callers[at];
	}
	if (generator->plan->arrivals == PLAN_POISSON)
		at = pace_pick(&generator->arrivals, generator->active_count);
	else if (at >= generator->active_count)
		generator->arrival_at = 1 + (at = 0);
	return &generator->callers[generator->active[at]];
}

/* Nothing is due on a connection that has no more to send, or that a ramp has not begun
 * yet. */
static bool
takes_messages(const struct caller *caller)
{
	return caller->state != CALLER_DONE && caller->has_called;
}

void
arrivals_run(struct generator *generator)
{
	struct pace *pace = &generator->arrivals;

	for (int i = 0; i < ARRIVALS_MAX && pace->next_ns <= generator->now_ns; i++) {
		uint64_t intended = pace->next_ns;
		if (intended >= generator->end_ns) {
			pace->next_ns = PACE_NEVER;
			return;
		}
		/* With nobody to send it, it stays due: late is sent late. */
		if (generator->plan->load == PLAN_OPEN && generator->active_count == 0)
			return;
		struct caller *caller = next_caller(generator);
		pace_take(pace);
		if (!takes_messages(caller) ||
		    !caller_schedule(generator, caller, intended))
			continue;
		generator->now_ns = generator_clock();
		caller_advance(generator, caller);
	}
}

void
arrivals_count_missed(struct generator *generator)
{
	struct pace *pace = &generator->arrivals;

	if (generator->plan->messages > 0)
		return;
	while (
	    pace->next_ns <= generator->now_ns && pace->next_ns < generator->end_ns) {
		if (pace->next_ns >= generator->measure_ns)
			tally_add(&generator->tally->messages_due, 1);
		pace_take(pace);
	}
}
