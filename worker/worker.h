/*
 * worker.h - processes 1..N of yodeld, as the master sees them: one function that never
 * comes back before the worker is done.
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include <stddef.h>
#include <stdint.h>

#include "proto/ledger.h"

#include "conf/config.h"

/* A listening socket of the worker's slot. */
struct worker_socket {
	int fd;                /* owned by the worker; non-blocking */
	uint32_t listener;     /* number in config->listeners */
	uint32_t ledger_index; /* number in the ledger */
};

struct worker_args {
	const struct config *config;
	uint32_t slot;
	uint32_t generation;
	int channel_fd; /* to the master (proto/channel.h); owned */
	const struct worker_socket *sockets; /* at least one for each listener */
	size_t socket_count;
	const struct ledger *ledger;         /* for what all workers hold together */
	struct worker_ledger *worker_ledger; /* this worker's own */
};

/* Runs one event loop until the master says that it is over (or is gone). Returns the
 * exit status of the process: 0, or EX_OSERR when it could not start. */
int worker_run(const struct worker_args *args);

#endif
