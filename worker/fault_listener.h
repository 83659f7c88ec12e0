/*
 * fault_listener.h - the faults of a listening socket of this worker: which are in
 * effect, and those that concern all of its connections.
 */
#ifndef WORKER_FAULT_LISTENER_H
#define WORKER_FAULT_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/fault.h"
#include "worker/fault_state.h"

struct worker;
struct worker_listener;

/* A reply for FAULT_SWAP. */
struct kept_reply {
	uint8_t *data;
	size_t length, capacity;
	uint64_t seed; /* of its connection */
};

/* Of a struct worker_listener. */
struct listener_faults {
	const struct fault *rows; /* of the configuration, or `own` */
	size_t count;
	struct fault *own; /* set at run time; heap */
	uint64_t seed;     /* fault_listener_seed() */
	uint64_t since_ns; /* CLOCK_MONOTONIC: when they took effect */
	uint64_t fired;    /* bit: that fault of the listener has begun */
	bool refuses;      /* some connections */
	bool accepts_none; /* at the moment */
	bool has_own_backlog;
	struct kept_reply latest[2]; /* of two connections, the latest first */
	struct fault_timer timer;    /* of the faults of the listener */
};

/* Takes the faults of the configuration. */
void fault_listener_prepare(struct worker_listener *listener);
/* Begins those that concern the listener, once it accepts. */
void fault_listener_start(struct worker_listener *listener);
void fault_listener_stop(struct worker_listener *listener);

/* Replaces the faults of listeners, by the text that the master sends: lines "since
 * NS", "listener ADDRESS", and for each "fault TEXT". */
void fault_listener_set(struct worker *worker, const char *text, size_t length);

#endif
