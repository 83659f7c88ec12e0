/*
 * rebalance.h - evens out the open connections of the workers: the fullest one
 * transfers some to the emptiest, a small batch at a time, until the counts differ by
 * little.
 *
 * Listeners with "balance": "move" are evened out whenever they differ by more than one
 * in 32 (short connections even out by themselves), all listeners when an operator asks
 * for it.
 */
#ifndef MASTER_CHANGES_REBALANCE_H
#define MASTER_CHANGES_REBALANCE_H

#include "master/changes/change.h"

struct rebalance {
	const struct worker_table *workers;
	struct change_log *changes;
	/* False while another change is in progress; given with its argument. */
	bool (*may_transfer)(const void *argument);
	const void *argument;
	bool is_requested;    /* of all listeners; an outcome follows */
	struct change change; /* while it is requested */
	uint32_t passes;      /* since then; a worker sends at most once in each */
	uint32_t transfers_in_progress;
	uint64_t moved;         /* connections, since it was requested */
	uint64_t moved_in_pass; /* in the transfers of this pass */
	double before;          /* fullest / mean when it was requested */
	uint64_t started_ns;
	uint64_t retry_at_ns; /* no connection could be moved */
};

/* Moves connections of all listeners, once. 0, or -1 with the reason in the outcome. */
int rebalance_start(struct rebalance *rebalance);
/* Ends a requested rebalance early, because another program is about to take over. */
void rebalance_cancel(struct rebalance *rebalance);
/* To be called at regular intervals. */
void rebalance_check(struct rebalance *rebalance);
/* A transfer of transfers_start_partial is over. */
void rebalance_on_transfer_end(struct rebalance *rebalance, uint64_t connections);

#endif
