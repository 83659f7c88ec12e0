/*
 * transfers.h - hand-overs of open connections between two workers (proto/transfer.h),
 * and their accounts: the ledger balances to the last connection, whoever dies on the
 * way.
 *
 * Both ends say at the end how many connections moved. Where one died before it could,
 * the other's number counts; where both did, what the giver had booked. A process that
 * is gone is buried when its moves are settled.
 */
#ifndef MASTER_WORKERS_TRANSFERS_H
#define MASTER_WORKERS_TRANSFERS_H

#include <stdbool.h>
#include <stdint.h>

#include "master/master.h"

/* Hands over everything that a leaving process holds. A failure is logged; the giver
 * then drains. */
void transfers_start(struct process *sender, struct process *receiver);
/* Hands over some of what a serving process holds, which serves on: `what` is the value
 * of CHANNEL_SEND_CONNECTIONS. 0, or -1 with errno. The end is
 * rebalance_on_transfer_end. */
int transfers_start_partial(struct process *sender, struct process *receiver,
    uint64_t what) __attribute__((warn_unused_result));

void transfers_on_sent(struct process *sender, uint32_t id, uint64_t connections);
void transfers_on_received(struct process *receiver, uint32_t id, uint64_t connections);
/* Settles what can be settled now, and buries those who wait for nothing more. */
void transfers_on_exit(struct process *process);

/* True while the process gives connections away. */
bool transfers_is_sending(const struct process *process);

#endif
