/*
 * worker.h - a worker process of yodeld, as the master sees it: one function that
 * returns when the worker has finished.
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/faults/fault_record.h"
#include "proto/ledger.h"
#include "proto/witness/witness_records.h"
#include "conf/config.h"

/* A listening socket of the worker's slot. */
struct worker_socket {
	int fd;                /* owned by the worker; non-blocking; -1: it gets its
				  connections by transfers alone */
	uint32_t listener;     /* number in config->listeners */
	uint32_t ledger_index; /* number in the ledger */
};

struct crash_region;
struct worker_args;

/* From the master to a keeper: its worker has died (with the value 1 for lack of
 * memory), has exited in order. Not signals
 * that a terminal, a service manager or an operator may send to all processes of
 * yodeld. */
#define KEEPER_SIGNAL_RECOVER (SIGRTMIN + 0)
#define KEEPER_SIGNAL_EXIT (SIGRTMIN + 1)

/* The OOM killer ends a worker, which is replaced, rather than a keeper, and that
 * rather than the master (resources_prefer_for_oom). */
#define WORKER_OOM_PREFERENCE 200

/* Runs in the worker's keeper, a child of the master that shares the worker's table of
 * descriptors, and does not return. The keeper has all memory of the worker as it was
 * before the worker served, and sees in the region what became of its connections. */
typedef void (*worker_keeper_fn)(
    const struct worker_args *args, const struct crash_region *region);

struct worker_args {
	const struct config *config;
	uint32_t slot;
	uint32_t generation;
	int channel_fd; /* to the master (proto/channel.h); owned */
	const struct worker_socket *sockets; /* at least one for each listener */
	size_t socket_count;
	int log_fd;            /* for lines to syslog (line_pipe.h); -1: none */
	struct ledger *ledger; /* of all workers */
	uint32_t ledger_entry; /* of this worker */
	struct worker_ledger *worker_ledger; /* the same, writable: set in the child */
	struct fault_records *fault_records; /* NULL: there is no record */
	struct fault_ring *fault_ring;       /* of this worker: set in the child */
	struct witness_records *witness_records; /* NULL: no listener is a witness */
	struct witness_book *witness_book;       /* set in the child; NULL: none */
	worker_keeper_fn run_keeper;             /* used if config->survive_crashes */
};

/* Descriptors for the log, the channel, epoll, the spare one, and a margin. */
#define WORKER_RESERVED_FDS 32

/* Connections that a worker can have with a limit of `descriptors`. */
static inline uint64_t
worker_connections_max(uint64_t descriptors)
{
	const uint64_t reserved = WORKER_RESERVED_FDS;
	return descriptors > 2 * reserved ? descriptors - reserved : descriptors / 2;
}

/* Runs an event loop until the master ends the worker (or dies). Returns the exit
 * status of the process: 0, or EX_OSERR if it could not start. */
int worker_run(const struct worker_args *args);

#endif
