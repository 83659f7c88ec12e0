/*
 * waiting.h - those who wait for how a change ends: each request that steers is
 * answered when that is known.
 *
 *   the change has its outcome -> it failed, or nobody leaves, or only that was wanted:
 *                                 answered
 *                              -> else when those who leave are gone (departure.h)
 *
 * An upgrade is an exec: the connection of whoever asked for it is left to the next
 * program image, which answers there.
 */
#ifndef MASTER_WAITING_H
#define MASTER_WAITING_H

#include <event2/http.h>

#include "master/door.h"
#include "master/master.h"

#define WAITING_OUTCOME_S 120 /* then the answer is that it is not over */
#define WAITING_END_S 3600    /* the same for a drain that has no limit */

struct departure;

/* The changes that are waited for: the first word of their outcomes. */
extern const char waiting_reload[], waiting_scale[], waiting_upgrade[],
    waiting_rebalance[], waiting_stop[];

/* The request is answered later; with `until_end` when those who leave are gone. False
 * when it was refused for want of memory. */
bool waiting_add(struct master *master, struct door *door,
    struct evhttp_request *request, const char *change, bool until_end);

/* master->outcome is that of a change that has just ended; `departure` (or NULL) are
 * the workers that it sends away: who wants to wait for them waits on. */
void waiting_on_outcome(struct master *master, struct departure *departure);
void waiting_on_departed(struct master *master, const struct departure *departure);
/* Looks after those who went away without their answer. */
void waiting_turn(struct master *master);
/* Whoever waits for workers to leave is told how far that is. */
void waiting_hurry(struct master *master);
/* The loop has ended: everybody is answered now. */
void waiting_finish(struct master *master);

/* Who waits for an upgrade, for the next program image. */
struct waiting_row {
	int fd;
	bool until_end;
};
/* As many as fit into ret[max]. Returns how many there are. */
size_t waiting_list(const struct master *master, struct waiting_row *ret, size_t max);
/* One that this image inherited (its descriptor is owned). 0, or -1 with errno. */
int waiting_inherit(struct master *master, const struct waiting_row *row)
    __attribute__((warn_unused_result));

#endif
