/*
 * steering.h - what operators ask for over HTTP:
 *
 *   POST /reload  /scale?workers=N  /rebalance  /upgrade  /stop  /log?level=LEVEL
 *
 * A change takes time; its request is answered with its outcome, when that is known and
 * those whom it sends away have left; with wait=outcome without waiting for them
 * (waiting.h).
 */
#ifndef MASTER_STEERING_H
#define MASTER_STEERING_H

#include <event2/http.h>

#include "master/door.h"
#include "master/master.h"

/* A request that changes something; it is answered now or later. False when the path is
 * not known. */
bool steering_serve(
    struct master *master, struct door *door, struct evhttp_request *request);

#endif
