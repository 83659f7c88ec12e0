/*
 * witness_serve.h - the connections of a listener with the reply "witness": their event
 * callback and timer, in place of those of connection_io.c. The protocol is that of
 * proto/witness/witness.h.
 */
#ifndef WORKER_WITNESS_SERVE_H
#define WORKER_WITNESS_SERVE_H

#include <stdbool.h>

#include <event2/event.h>

struct connection;

/* The event callback of a connection that is served; its argument is the connection. */
void witness_serve_on_event(evutil_socket_t fd, short what, void *argument);

/* A connection is served from now on: greets, and takes what has come behind a header
 * (connection->input). False when it was closed. */
bool witness_serve_begin(struct connection *connection);
/* Goes on with a connection that was frozen, here or at another worker. False when it
 * was closed. */
bool witness_serve_resume(struct connection *connection);
/* Sends queued output. False when the connection was closed. */
bool witness_serve_flush(struct connection *connection)
    __attribute__((warn_unused_result));
/* Its pause is over. May close it. */
void witness_serve_on_due(struct connection *connection);

#endif
