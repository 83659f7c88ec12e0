/*
 * conductor.h - the parent of a run: forks the generator processes, names the common
 * start and the rounds of lockstep, watches, and ends them.
 */
#ifndef CLIENT_CONDUCTOR_H
#define CLIENT_CONDUCTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "client/expectation.h"
#include "client/plan.h"
#include "client/sequence.h"
#include "client/tally.h"

struct conductor_args {
	const struct plan *plan;
	const struct sequence *sequence;
	const struct expectation *expectation;
	const struct tallies *tallies;
	/* Called a few times a second while the run goes on, with CLOCK_MONOTONIC. */
	void (*on_tick)(void *context, uint64_t now_ns);
	void *context;
};

struct conductor_outcome {
	bool interrupted; /* a signal ended the run */
	uint32_t died;    /* generator processes that did not finish */
	uint64_t late_ns; /* the load began so long after --start-at */
};

/* Runs it to its end. 0, or -1 with errno when it could not begin. */
int conductor_run(const struct conductor_args *args, struct conductor_outcome *ret)
    __attribute__((warn_unused_result));

#endif
