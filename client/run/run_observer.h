/*
 * run_observer.h - what watches a run while it goes on, in the parent of the load
 * processes. It shares the parent's event loop and must never make it wait.
 */
#ifndef CLIENT_RUN_RUN_OBSERVER_H
#define CLIENT_RUN_RUN_OBSERVER_H

#include <stdint.h>

#include <event2/event.h>

#include "client/measure/counters.h"
#include "client/measure/sampler.h"
#include "client/plan/plan.h"

/* The run so far: what result_collect() needs. Valid from on_start to on_stop. */
struct run_view {
	const struct plan *plan; /* completed */
	const struct counters_map *counters_map;
	const struct sampler *sampler;
};

struct run_observer {
	struct event_base *base; /* the loop in which the run takes place */
	void (*on_start)(void *context, const struct run_view *view);
	/* Several times per second, with CLOCK_MONOTONIC. */
	void (*on_tick)(void *context, uint64_t now_ns);
	void (*on_stop)(void *context);
	/* In each load process, after fork(2): closes the descriptors of the observer.
	 */
	void (*in_child)(void *context);
	void *context;
};

#endif
