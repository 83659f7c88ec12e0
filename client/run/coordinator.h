/*
 * coordinator.h - the parent of a run: forks the generator processes, names the common
 * start and the rounds of lockstep, watches, and ends them.
 */
#ifndef CLIENT_RUN_COORDINATOR_H
#define CLIENT_RUN_COORDINATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "client/measure/counters.h"
#include "client/messages/expectation.h"
#include "client/messages/sequence.h"
#include "client/plan/plan.h"

struct coordinator_args {
	const struct plan *plan;
	const struct sequence *sequence;
	const struct expectation *expectation;
	const struct counters_map *counters_map;
	/* Called a few times a second while the run goes on, with CLOCK_MONOTONIC. */
	void (*on_tick)(void *context, uint64_t now_ns);
	void *context;
};

struct coordinator_outcome {
	bool interrupted; /* a signal ended the run */
	uint32_t died;    /* generator processes that did not finish */
	uint64_t late_ns; /* the load began so long after --start-at */
};

/* Runs it to its end. 0, or -1 with errno when it could not begin. */
int coordinator_run(const struct coordinator_args *args,
    struct coordinator_outcome *ret) __attribute__((warn_unused_result));

#endif
