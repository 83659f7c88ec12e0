/*
 * timeouts.h - the coarse clock of a worker and what it closes: idle connections,
 * stalled writes, lingering connections. One timer checks them all, because a timer for
 * each connection would cost more than the message that it guards.
 *
 * A timeout is never early and at most two check intervals late. Time in which the loop
 * did not run (a stopped process, a frozen container) counts as one interval.
 */
#ifndef WORKER_TIMEOUTS_H
#define WORKER_TIMEOUTS_H

struct worker;

int timeouts_start(struct worker *worker) __attribute__((warn_unused_result));
/* Starts to close idle connections, for a drain, and checks more often. */
void timeouts_shorten(struct worker *worker);
void timeouts_stop(struct worker *worker);

#endif
