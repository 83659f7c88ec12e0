/*
 * shutdown.h - the end of yodeld, in order or at once.
 */
#ifndef MASTER_CHANGES_SHUTDOWN_H
#define MASTER_CHANGES_SHUTDOWN_H

#include "lib/clock.h"

#include "master/master.h"

/* What a worker gets beyond the time it was given before it is killed. */
#define SHUTDOWN_GRACE_NS (2 * NS_PER_S)

/* All workers empty their queues, drain and leave, in at most timeouts.drain; then the
 * loop ends. */
void shutdown_in_order(struct master *master);
/* All workers end now; then the loop ends. */
void shutdown_now(struct master *master);

#endif
