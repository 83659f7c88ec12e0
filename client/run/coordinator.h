/*
 * coordinator.h - the parent of the load processes: forks them, sets the common start
 * time, advances the rounds of lockstep, passes on signals and reaps them.
 */
#ifndef CLIENT_RUN_COORDINATOR_H
#define CLIENT_RUN_COORDINATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "client/measure/counters.h"
#include "client/messages/expectation.h"
#include "client/messages/sequence.h"
#include "client/plan/plan.h"
#include "client/run/run_observer.h"

struct coordinator_args {
	const struct plan *plan;
	const struct sequence *sequence;
	const struct expectation *expectation;
	const struct counters_map *counters_map;
	/* Called several times per second during the run, with CLOCK_MONOTONIC. */
	/* Returns when it wants to be called again at the latest, in ns of
	 * CLOCK_MONOTONIC. */
	uint64_t (*on_tick)(void *context, uint64_t now_ns);
	void *context;
	const struct run_observer *observer; /* NULL: none */
};

struct coordinator_outcome {
	bool interrupted; /* by a signal */
	uint32_t died;    /* load processes that did not finish */
	uint64_t late_ns; /* delay of the start after --start-at */
};

/* Returns when all load processes have exited. 0, or -1 with errno if they could not be
 * started. */
int coordinator_run(const struct coordinator_args *args,
    struct coordinator_outcome *ret) __attribute__((warn_unused_result));

#endif
