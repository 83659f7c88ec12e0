/*
 * admin_routes.h - serves the requests of operators over HTTP. One table has the
 * routes: GET is answered at once; POST is accepted on the Unix socket only, and
 * answered with the outcome of the change (pending_requests.h).
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
