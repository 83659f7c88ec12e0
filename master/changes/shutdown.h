/*
 * shutdown.h - stops the server, in order or at once.
 */
#ifndef MASTER_CHANGES_SHUTDOWN_H
#define MASTER_CHANGES_SHUTDOWN_H

#include "lib/clock.h"
#include "master/changes/reload.h"

/* Added to the time that a worker has before it is killed. */
#define SHUTDOWN_GRACE_NS (2 * NS_PER_S)

struct shutdown {
	struct worker_table *workers;
	struct reload *reload;
	struct change change;
	bool is_orderly;
	uint64_t deadline_ns; /* then workers are killed; 0: none */
};

/* All workers empty their queues, drain and exit, within timeouts.drain; then the event
 * loop ends. */
void shutdown_in_order(struct shutdown *shutdown);
/* All workers exit now; then the event loop ends. */
void shutdown_now(struct shutdown *shutdown);
/* True while a worker that empties queues may be replaced. */
bool shutdown_has_time(const struct shutdown *shutdown);

#endif
