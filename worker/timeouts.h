/*
 * timeouts.h - the coarse clock of a worker, and what it closes: idle connections,
 * stalled writers, peers that linger. One timer for all, because a timer for each
 * connection would cost more than the message it guards.
 *
 * A timeout is never early, and at most two sweeps late; time in which the loop stood
 * still (a stopped process, a frozen container) counts as one sweep. A stalled writer's
 * begins anew when there is room in the socket that the kernel had not yet told of.
 */
#ifndef WORKER_TIMEOUTS_H
#define WORKER_TIMEOUTS_H

struct worker;

int timeouts_start(struct worker *worker) __attribute__((warn_unused_result));
/* From now on connections that are quiet and owed nothing are closed (drain). */
void timeouts_shorten(struct worker *worker);
void timeouts_stop(struct worker *worker);

#endif
