/*
 * worker_drain.h - workers that drain: which messages they get, which workers receive
 * their connections, and when sockets that no worker serves any longer are closed.
 *
 * Close a listening socket in this order, so that no connection in its accept queue is
 * reset: no new connections are directed to it (slot_update_reuseport,
 * listener_retire); its worker accepts until none has arrived for a while, and sends
 * LISTENERS_CLOSED; only then is the socket closed.
 */
#ifndef MASTER_WORKERS_WORKER_DRAIN_H
#define MASTER_WORKERS_WORKER_DRAIN_H

#include "master/workers/worker_table.h"

enum worker_drain_kind {
	DRAIN_KEEP_SOCKETS, /* another worker serves them; removed listeners are emptied
			     */
	DRAIN_ALL_QUEUES,   /* the slot is removed: all its queues are emptied first */
	DRAIN_SHUTDOWN,     /* the server stops: emptied and drained, no transfers */
};

/* Tells a worker to drain and exit. Its connections move unless the server stops. */
void worker_drain_start(struct process *process, enum worker_drain_kind kind);
/* `successor` serves: workers that drain in its slot stop emptying its queues. */
void worker_drain_queue_taken_over(const struct process *successor);
/* After a commit: no other worker serves the removed listeners, so that workers that
 * empty all queues go on with those, even when their slot has a new worker. */
void worker_drain_on_listeners_removed(struct worker_table *table);
/* Replaces a worker that may have exited while it emptied queues, if no slot will.
 * While the server stops only if `has_time`. */
void worker_drain_replace(const struct process *exited, bool has_time);
/* The server stops in order: the queues of slots without a worker are emptied, too. */
void worker_drain_all_queues(struct worker_table *table);
/* Starts the transfers that wait for a receiver. */
void worker_drain_find_receivers(struct worker_table *table);
/* True while a draining worker may accept from a socket of this slot; -1: of any. */
bool worker_drain_is_emptying(const struct worker_table *table, int slot);
/* Starts a worker that empties the sockets of the previous instance
 * (socket_activation.h), if there are any. */
void worker_drain_stored(struct worker_table *table);
/* Closes removed listeners, once no worker empties a queue. */
void worker_drain_close_removed(struct worker_table *table);

#endif
