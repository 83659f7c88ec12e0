/*
 * connection_io.h - the bytes of a connection: read, answered (responder.h), sent or
 * kept.
 */
#ifndef WORKER_CONNECTION_IO_H
#define WORKER_CONNECTION_IO_H

#include <stdbool.h>
#include <stddef.h>

#include <event2/event.h>

#include "net/transport.h"

struct connection;

/* Offers the kernel what waits in the output, whether or not it has asked for more.
 * False when the connection was closed over it. */
bool connection_io_flush(struct connection *connection)
    __attribute__((warn_unused_result));

/* The first event callback of a connection over this transport; its argument is the
 * connection. */
event_callback_fn connection_io_callback(const struct transport *transport);

#endif
