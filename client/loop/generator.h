/*
 * generator.h - one load process: one epoll loop and its share of the connections.
 *
 *   connecting -> waiting for the common start -> running -> draining -> finished
 */
#ifndef CLIENT_LOOP_GENERATOR_H
#define CLIENT_LOOP_GENERATOR_H

#include <stdint.h>

#include "client/measure/counters.h"
#include "client/messages/expectation.h"
#include "client/messages/sequence.h"
#include "client/plan/plan.h"

struct generator_args {
	const struct plan *plan;
	const struct sequence *sequence;
	const struct expectation *expectation;
	struct counters *counters;
	struct control_block *control_block;
	uint32_t process;
	int wake_fd;
	int parent_fd;
};

/* Runs a load process to its end. Returns 0, or -1 with errno if epoll failed. */
int generator_run(const struct generator_args *args);

#endif
