/*
 * drain.h - how a worker ends: in order, at most as long as the master allows.
 *
 *   serving --LEAVE--> leaving: listeners closed (or emptied first), open connections
 *                      handed over, the rest served until quiet --> exit 0
 *   any     --STOP---> everything closed --> exit 0
 *   any     --end of file from the master: as LEAVE, with the configured drain time
 */
#ifndef WORKER_DRAIN_H
#define WORKER_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

struct worker;

/* Before anything that may request a check. */
void drain_init(struct worker *worker);

/* With `moves`, a hand-over will come for the open connections: they are served until
 * it has taken them; the rest is drained. deadline_ns: from now; 0: no limit. Asked for
 * again, the earliest limit counts. */
void drain_start(struct worker *worker, bool expects_transfer, uint64_t deadline_ns);
void drain_abort(struct worker *worker);

#endif
