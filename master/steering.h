/*
 * steering.h - what operators ask for over HTTP, and who waits for how it ends.
 *
 *   POST /reload  /scale?workers=N  /upgrade  /stop  /log?level=LEVEL
 *
 * A change takes time; its request is answered when it is over, with the text of its
 * outcome and a status that says how it went. An upgrade is an exec: the connection of
 * whoever asked for it is left to the next program image, which answers there.
 */
#ifndef MASTER_STEERING_H
#define MASTER_STEERING_H

#include <event2/http.h>

#include "master/door.h"
#include "master/master.h"

#define STEERING_WAIT_S 120 /* then the answer is that it is not over */

/* A request that changes something; it is answered now or later. False when the path is
 * not known. */
bool steering_serve(
    struct master *master, struct door *door, struct evhttp_request *request);
/* master->outcome is that of a change that has just ended: whoever waits for it hears.
 */
void steering_on_outcome(struct master *master);
void steering_finish(struct master *master);

/* The connections of those who wait for an upgrade, for the next program image: as many
 * as fit into ret[max]. Returns how many there are. */
size_t steering_list(const struct master *master, int *ret, size_t max);
/* One that this image inherited (owned). 0, or -1 with errno. */
int steering_inherit(struct master *master, int fd) __attribute__((warn_unused_result));

#endif
