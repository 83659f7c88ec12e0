/*
 * process.h - worker processes: fork, messages, exit. What a worker reports goes to
 * the callbacks of the worker table.
 */
#ifndef MASTER_WORKERS_PROCESS_H
#define MASTER_WORKERS_PROCESS_H

#include <stddef.h>

#include "master/workers/worker_table.h"

/* Forks a worker for a slot. `config` is the current, the previous or the planned
 * configuration. NULL with errno. */
struct process *process_start(struct worker_table *table, const struct config *config,
    uint32_t generation, uint32_t slot) __attribute__((warn_unused_result));

/* Forks a worker with the listeners of another one, but not their sockets: it gets
 * connections by transfers alone. NULL with errno (ENOENT: its configuration is no
 * longer known). */
struct process *process_start_like(const struct process *former)
    __attribute__((warn_unused_result));

/* Adds an inherited process; the most recent one comes first. NULL with ENOMEM. */
struct process *process_from_pid(struct worker_table *table, pid_t pid, uint32_t slot,
    int channel_fd, uint32_t ledger_entry) __attribute__((warn_unused_result));

/* Sends a message, in a control_queue.h if the channel is full. A failure is not an
 * error: the worker is about to exit, or is killed because it cannot be told. */
void process_send(
    struct process *process, uint32_t verb, uint32_t argument, uint64_t value);
void process_send_all(
    const struct worker_table *table, uint32_t verb, uint32_t argument);
/* As process_send(), with a descriptor (-1: none). 0, or -1 with errno. */
int process_send_fd(
    struct process *process, const struct channel_message *message, int fd);
/* Sends messages that are queued; to be called regularly. */
void process_send_queued(const struct worker_table *table);
/* True while messages are queued: another program would not know of them. */
bool process_has_queued(const struct worker_table *table);

/* Passes the log to all workers, which cannot open files. */
void process_send_log(struct worker_table *table);

/* Waits for every child that has exited. */
void process_reap(struct worker_table *table);
/* Handles the exit of inherited processes that waitpid(2) cannot report. */
void process_reap_unknown(struct worker_table *table);

/* Releases the ledger block of a process that has exited and has no transfer, and frees
 * the process. */
void process_release(struct process *process);

/* Frees the ledger's numbers of listeners that are closed and that no process counts
 * for; to be called regularly. */
void process_release_listeners(struct worker_table *table);

/* The configuration that the process was started with is discarded. */
void process_forget_config(struct process *process);

/* Frees all processes, and leaves their ledger blocks to the next program image. */
void process_forget_all(struct worker_table *table);

/* A wait status as text. */
void process_format_status(int status, char *text, size_t size);

/* The process drains: it is no longer PROCESS_ACTIVE and has not exited. */
bool process_is_draining(const struct process *process);

/* Processes that have not exited, with keepers that are about to. */
uint32_t process_count(const struct worker_table *table);

#endif
