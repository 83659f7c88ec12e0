/*
 * keeper_loss.h - replaces a worker whose keeper has died while it serves. Its keeper
 * cannot be replaced, because the worker is in its sandbox: a successor with a keeper
 * takes its connections over by an ordinary transfer.
 */
#ifndef MASTER_WORKERS_KEEPER_LOSS_H
#define MASTER_WORKERS_KEEPER_LOSS_H

#include "master/workers/worker_table.h"

/* Starts successors of workers that have lost their keeper; call it regularly while no
 * change is in progress. */
void keeper_loss_check(struct worker_table *table);
/* True while such a successor, or one of a reload, is not its slot's worker yet. */
bool keeper_loss_is_pending(const struct worker_table *table);
/* Such a successor is ready. */
void keeper_loss_on_ready(struct process *successor);

#endif
