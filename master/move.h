/*
 * move.h - hand-overs of open connections between two workers (proto/transfer.h), and
 * their accounts: the ledger balances to the last connection, whoever dies on the way.
 *
 * Both ends say at the end how many connections moved. Where one died before it could,
 * the other's number counts; where both did, what the giver had booked. A process that
 * is gone is buried when its moves are settled.
 */
#ifndef MASTER_MOVE_H
#define MASTER_MOVE_H

#include <stdbool.h>
#include <stdint.h>

#include "master/master.h"

/* Hands over everything that a leaving process holds. A failure is logged; the giver
 * then drains. */
void move_start(struct process *giver, struct process *taker);
/* Hands over some of what a serving process holds, which serves on: `what` is the value
 * of CHANNEL_SEND_CONNECTIONS. 0, or -1 with errno. The end is balance_on_moved. */
int move_some(struct process *giver, struct process *taker, uint64_t what)
    __attribute__((warn_unused_result));

void move_on_gave(struct process *giver, uint32_t id, uint64_t connections);
void move_on_took(struct process *taker, uint32_t id, uint64_t connections);
/* Settles what can be settled now, and buries those who wait for nothing more. */
void move_on_gone(struct process *process);

/* True while the process gives connections away. */
bool move_is_giving(const struct process *process);

#endif
