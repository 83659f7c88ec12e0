/*
 * rebalance.h - evening out the open connections of the workers: the master tells the
 * fullest to hand some over to the emptiest (transfers.h), a small batch at a time,
 * until they differ by little. Their peers notice nothing.
 *
 * Done for listeners whose balance is to move, as long as they are uneven, and for all
 * when an operator asks for it. What is short-lived evens out by itself: a difference
 * of one in 32 is left alone unless it was asked for.
 */
#ifndef MASTER_CHANGES_REBALANCE_H
#define MASTER_CHANGES_REBALANCE_H

#include "master/master.h"

/* Evens out all that can move, once. 0, or -1 with the reason in the outcome; the
 * outcome that tells of its end begins with "rebalance". */
int rebalance_start(struct master *master);

/* Another program is about to take over: what was asked for ends as it is. */
void rebalance_cancel(struct master *master);
/* The regular look. */
void rebalance_check(struct master *master);
/* A hand-over that transfers_start_partial began is over. */
void rebalance_on_transfer_end(struct master *master, uint64_t connections);

#endif
