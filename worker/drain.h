/*
 * drain.h - how a worker ends: in order, within the time that the master allows.
 *
 *   serving --DRAIN--> draining: listeners closed (after their queues are empty), open
 *                      connections transferred, the rest served until idle --> exit 0
 *   any     --EXIT---> everything closed --> exit 0
 *   any     --EOF of the channel--> draining, with timeouts.drain
 */
#ifndef WORKER_DRAIN_H
#define WORKER_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

struct worker;

/* To be called before anything that may request a check (worker_state.h). */
void drain_init(struct worker *worker);

/* With `expects_transfer` a transfer of the open connections will start: they are
 * served until it has moved them, and the remaining ones are drained. deadline_ns:
 * from now; 0: none. Of several deadlines the earliest counts. */
void drain_start(struct worker *worker, bool expects_transfer, uint64_t deadline_ns);
void drain_abort(struct worker *worker);

#endif
