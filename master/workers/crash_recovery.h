/*
 * crash_recovery.h - the master's part when a worker with a keeper dies
 * (keeper/keeper.h):
 *
 *   the worker dies    on_death: its slot backs off or gets a successor, as after any
 *                      death; its process becomes the keeper's, and drains
 *   a worker is ready  the keeper's connections are transferred to it; those that no
 *                      slot's worker serves to a worker of their own (worker_drain.c)
 *   the keeper exits   one log line; the process is released
 *
 * If the keeper dies first, the worker is replaced (keeper_loss.h).
 */
#ifndef MASTER_WORKERS_CRASH_RECOVERY_H
#define MASTER_WORKERS_CRASH_RECOVERY_H

#include "master/workers/worker_table.h"

/* The worker has reported the process id of its keeper. */
void crash_recovery_on_keeper(struct process *process, uint64_t pid);
/* Ends the keeper of a process that has exited; logs the result of a recovery. */
void crash_recovery_end(struct process *process);
/* Notes the death. The process still has the pid of its worker. */
void crash_recovery_prepare(struct process *process, int status);
/* Its slot has been taken care of: the keeper takes the worker's place. */
void crash_recovery_start(struct process *process);
/* A child has exited that is no worker: perhaps a keeper. */
void crash_recovery_on_child(struct worker_table *table, pid_t pid, int status);
/* Frees what is known of keepers that were told to exit. */
void crash_recovery_forget_all(struct worker_table *table);

#endif
