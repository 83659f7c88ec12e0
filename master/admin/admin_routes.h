/*
 * admin_routes.h - the requests of operators over HTTP:
 *
 *   GET   /stats /workers /config     JSON
 *         /metrics                    the text format of Prometheus
 *         /healthz /readyz            200 or 503, with a word
 *   POST  /reload  /scale?workers=N  /rebalance  /upgrade  /stop  /log?level=LEVEL
 *
 * A POST is accepted on the Unix socket only. It is answered with the outcome of the
 * change, when the workers that it drains have exited; with wait=outcome without
 * waiting for them (pending_requests.h).
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
