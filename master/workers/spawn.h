/*
 * spawn.h - forks a worker, which keeps no descriptor, signal or writable shared memory
 * of the master.
 */
#ifndef MASTER_WORKERS_SPAWN_H
#define MASTER_WORKERS_SPAWN_H

#include <sys/types.h>

#include "worker/worker.h"

/* Forks a worker. The child closes every descriptor but 0 to 2, the log, its channel
 * and its listening sockets: a copy of a sibling's socket would keep its accept queue
 * open after the sibling has closed it. The child runs worker_run and exits. Returns
 * the process id, or -1 with errno. */
pid_t spawn_worker(const struct worker_args *args) __attribute__((warn_unused_result));

#endif
