/*
 * live_budget.h - bounds the CPU time of all that readers of a run ask for.
 *
 * The run is collected into a state, and readers get texts of that state: page,
 * metrics, result, event. Each text is made at most once for a state, whatever the
 * number of its readers. What a state and its texts take is added up, and the next
 * state is collected
 *
 *   not before its age is LIVE_BUDGET_RATIO times the CPU time that it has taken,
 *   nor before a second is over.
 *
 * Hence collection, pages, metrics and events take at most 1 % of one CPU. If they are
 * dear, readers get older figures, with the time of their collection, not fewer. To
 * send a text that is made is left out: it is one copy for each request.
 */
#ifndef CLIENT_LIVE_LIVE_BUDGET_H
#define CLIENT_LIVE_LIVE_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/clock.h"

#define LIVE_BUDGET_RATIO 100
#define LIVE_BUDGET_INTERVAL_NS NS_PER_S

struct live_budget {
	uint64_t begun_ns; /* CLOCK_MONOTONIC of the state; 0: there is none */
	uint64_t cpu_ns;   /* that it and its texts have taken so far */
};

/* When the next state may be collected. */
static inline uint64_t
live_budget_next_ns(const struct live_budget *budget)
{
	uint64_t wait_ns = budget->cpu_ns * LIVE_BUDGET_RATIO;
	if (budget->begun_ns == 0)
		return 0;
	return budget->begun_ns +
	    (wait_ns > LIVE_BUDGET_INTERVAL_NS ? wait_ns : LIVE_BUDGET_INTERVAL_NS);
}

/* If the next state is due, it begins now, and true is returned. */
static inline bool
live_budget_begin(struct live_budget *budget, uint64_t now_ns)
{
	if (now_ns < live_budget_next_ns(budget))
		return false;
	*budget = (struct live_budget){ .begun_ns = now_ns };
	return true;
}

/* Adds what the thread has taken since clock_cpu_ns() returned `since_ns`. */
static inline void
live_budget_add_since(struct live_budget *budget, uint64_t since_ns)
{
	budget->cpu_ns += clock_cpu_ns() - since_ns;
}

#endif
