/*
 * admin_routes.h - what operators ask for over HTTP:
 *
 *   POST /reload  /scale?workers=N  /rebalance  /upgrade  /stop  /log?level=LEVEL
 *
 * A change takes time; its request is answered with its outcome, when that is known and
 * those whom it sends away have left; with wait=outcome without waiting for them
 * (pending_requests.h).
 */
#ifndef MASTER_ADMIN_ADMIN_ROUTES_H
#define MASTER_ADMIN_ADMIN_ROUTES_H

#include <event2/http.h>

#include "http/http_server.h"

#include "master/master.h"

/* The handler of all admin listeners, with the master as its argument. */
void admin_routes_serve(
    struct evhttp_request *request, struct http_server *http_server, void *argument);

#endif
