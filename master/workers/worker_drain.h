/*
 * worker_drain.h - workers that are to end: what they are told, where their connections
 * go, and when the sockets that nobody serves any more are closed.
 *
 * A socket is retired in this order, so that nobody who has reached it is lost: no new
 * connections begin on it (reuseport_update, listener_block_new); its worker accepts
 * until nobody has come for a while, and says RETIRED; only then is it closed.
 */
#ifndef MASTER_WORKERS_WORKER_DRAIN_H
#define MASTER_WORKERS_WORKER_DRAIN_H

#include "master/master.h"

enum worker_drain_kind {
	DRAIN_KEEP_SOCKETS, /* somebody else serves them (but removed listeners) */
	DRAIN_ALL_QUEUES,   /* its slot goes: all its queues are emptied first */
	DRAIN_SHUTDOWN,     /* the server stops: emptied, drained, nothing moves */
};

/* Asks a worker to leave. Its connections move to another one unless it is for good. */
void worker_drain_start(struct process *process, enum worker_drain_kind kind);
/* Who leaves the slot of `heir`, which serves now, need not empty its queues any more.
 */
void worker_drain_queue_taken_over(const struct process *successor);
/* Listeners have been removed: nobody else serves them, so that who was emptying all
 * queues of its slot goes on with theirs, whoever has the slot. */
void worker_drain_on_listeners_removed(struct master *master);
/* One that may have been emptying queues is gone: another one goes on, if no slot will.
 */
void worker_drain_replace(const struct process *exited);
/* The server stops in order: the queues of slots without worker are emptied, too. */
void worker_drain_all_queues(struct master *master);
/* Finds somebody for those who have connections to give and nobody to take them. */
void worker_drain_find_receivers(struct master *master);
/* Closes the sockets that nobody serves any more. */
void worker_drain_close_sockets(struct master *master);

#endif
