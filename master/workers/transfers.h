/*
 * transfers.h - transfers of open connections between two workers (proto/transfer.h),
 * and their accounting: the ledger adds up, whichever worker dies.
 *
 * Both workers report at the end how many connections moved. The keeper of a dead
 * sender reports for it, once it knows whether the last batch was accepted; that of a
 * dead receiver does not.
 *
 * Invariant: a transfer is settled by the number of a process that knows the fate of
 * its last batch. So if the receiver has died, the transfer waits for the number of the
 * sender or its keeper; only if both have exited without one, the sender's ledger block
 * counts.
 *
 * A process that has exited is released when its transfers are settled.
 */
#ifndef MASTER_WORKERS_TRANSFERS_H
#define MASTER_WORKERS_TRANSFERS_H

#include "master/workers/worker_table.h"

/* A transfer that both sides have finished. */
struct transfer_result {
	struct process *sender, *receiver;
	bool is_partial;
	uint64_t moved; /* connections */
};

/* Moves all connections of a draining process. A failure is logged; the sender then
 * drains its connections. */
void transfers_start(struct process *sender, struct process *receiver);
/* Moves some connections of a process that continues to serve: `selection` is the value
 * of CHANNEL_SEND_CONNECTIONS. 0, or -1 with errno. */
int transfers_start_partial(struct process *sender, struct process *receiver,
    uint64_t selection) __attribute__((warn_unused_result));

/* Records what one side has reported. False if it has no such transfer. */
bool transfers_on_end(const struct process *process, const struct transfer_end *end);
/* Removes one finished transfer from the table, and adds it to the counts of its
 * processes. False if none has finished. The caller then releases processes. */
bool transfers_settle_next(struct worker_table *table, struct transfer_result *ret);
/* The process has died: its keeper ends its part of all transfers, and reports what it
 * has sent. */
void transfers_on_death(const struct process *process);
/* Releases a process that has exited and has no transfer left. */
void transfers_release(struct process *process);

/* True while the process sends connections. */
bool transfers_is_sending(const struct process *process);

#endif
