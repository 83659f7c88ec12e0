/*
 * keeper.h - the keeper of a worker: a process that shares the worker's table of
 * descriptors and the record of its connections (worker/connection/crash_record.h), and
 * sleeps.
 *
 * When its worker exits in order, the master sends KEEPER_SIGNAL_EXIT, and the keeper
 * exits.
 *
 * When its worker dies, the master sends KEEPER_SIGNAL_RECOVER. The keeper reads the
 * record and is from then on the sender of ordinary transfers (proto/transfer.h), as
 * the master asks on the worker's channel. It counts in the worker's part of the
 * ledger, and exits with the last connection.
 *
 * When the master exits, the channel reports it (POLLHUP), and the keeper exits.
 *
 * It never reads or writes a byte of a connection: a message that has killed one worker
 * cannot kill it.
 */
#ifndef KEEPER_KEEPER_H
#define KEEPER_KEEPER_H

#include "worker/worker.h"

/* A worker_keeper_fn. Does not return. */
void keeper_run(const struct worker_args *args, const struct crash_region *region);

#endif
