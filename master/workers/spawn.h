/*
 * spawn.h - forking a worker: what it keeps of the master, and what it must not.
 */
#ifndef MASTER_WORKERS_SPAWN_H
#define MASTER_WORKERS_SPAWN_H

#include <sys/types.h>

#include "worker/worker.h"

/* Forks a worker. In the child every descriptor but the standard ones, the log, its
 * channel and its listeners is closed first (a sibling's listener kept by accident
 * would hold a queue that nobody serves), signals are the worker's own, then worker_run
 * never comes back. In the parent: the process id, or -1 with errno. */
pid_t spawn_worker(const struct worker_args *args) __attribute__((warn_unused_result));

#endif
