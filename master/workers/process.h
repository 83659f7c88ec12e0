/*
 * process.h - worker processes as the master sees them: forked, heard over their
 * channel, waited for, their books closed.
 */
#ifndef MASTER_WORKERS_PROCESS_H
#define MASTER_WORKERS_PROCESS_H

#include <stdint.h>

#include "master/master.h"

/* Forks a worker of the given generation and configuration (the one in force, the one
 * before or the one to come) for a slot. NULL with errno. */
struct process *process_start(struct master *master, const struct config *config,
    uint32_t generation, uint32_t slot) __attribute__((warn_unused_result));

/* A process that this program image inherited, the most recent one first. NULL with
 * ENOMEM. */
struct process *process_from_pid(struct master *master, pid_t pid, uint32_t slot,
    int channel_fd, struct worker_ledger *worker_ledger)
    __attribute__((warn_unused_result));

/* Sends a message without descriptor. A worker that does not hear is a dying one. */
void process_send(
    const struct process *process, uint32_t verb, uint32_t argument, uint64_t value);
void process_send_all(const struct master *master, uint32_t verb, uint32_t argument);

/* Collects every child that has ended. */
void process_reap(struct master *master);

/* Of the inherited ones, those that nobody will hear of. */
void process_reap_unknown(struct master *master);

/* Closes the books of a process that is gone and has no unsettled move, and forgets it.
 */
void process_release(struct process *process);

/* Forgets those that live: whoever has them next closes their books. */
void process_forget_all(struct master *master);

/* How a child ended, of its wait status. */
void process_format_status(int status, char *text, size_t size);

/* Processes that live. */
uint32_t process_count(const struct master *master);

#endif
