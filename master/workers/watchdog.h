/*
 * watchdog.h - kills hung workers. A worker whose event loop does not run still gets
 * its share of new connections. It is sent SIGABRT, for a core dump, then SIGKILL, and
 * is replaced like any worker that dies.
 */
#ifndef MASTER_WORKERS_WATCHDOG_H
#define MASTER_WORKERS_WATCHDOG_H

#include "master/workers/worker_table.h"

/* To be called at regular intervals. False when a worker has been silent for longer
 * than limit_ns (0: no limit), or is hung. */
bool watchdog_check(struct worker_table *table, uint64_t now_ns, uint64_t limit_ns);

#endif
