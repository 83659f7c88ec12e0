/*
 * leaving.h - workers that are to end: what they are told, where their connections go,
 * and when the sockets that nobody serves any more are closed.
 *
 * A socket is retired in this order, so that nobody who has reached it is lost: no new
 * connections begin on it (slot_steer, endpoint_turn_away); its worker accepts until
 * nobody has come for a while, and says RETIRED; only then is it closed.
 */
#ifndef MASTER_LEAVING_H
#define MASTER_LEAVING_H

#include "master/master.h"

enum leaving_kind {
	LEAVING_SOCKETS_STAY, /* somebody else serves them (but removed listeners) */
	LEAVING_EMPTY_ALL,    /* its slot goes: all its queues are emptied first */
	LEAVING_FOR_GOOD,     /* the server stops: emptied, drained, nothing moves */
};

/* Asks a worker to leave. Its connections move to another one unless it is for good. */
void leaving_start(struct process *process, enum leaving_kind kind);
/* Who leaves the slot of `heir`, which serves now, need not empty its queues any more.
 */
void leaving_cede(const struct process *heir);
/* Listeners have been removed: nobody else serves them, so that who was emptying all
 * queues of its slot goes on with theirs, whoever has the slot. */
void leaving_on_removed(struct master *master);
/* One that may have been emptying queues is gone: another one goes on, if no slot will.
 */
void leaving_replace(const struct process *dead);
/* The server stops in order: the queues of slots without worker are emptied, too. */
void leaving_attend(struct master *master);
/* Finds somebody for those who have connections to give and nobody to take them. */
void leaving_find_takers(struct master *master);
/* Closes the sockets that nobody serves any more. */
void leaving_check(struct master *master);

#endif
