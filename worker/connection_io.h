/*
 * connection_io.h - the events of a connection: reads, hands the bytes to the responder
 * (responder.h), sends the replies or queues them.
 */
#ifndef WORKER_CONNECTION_IO_H
#define WORKER_CONNECTION_IO_H

#include <stdbool.h>

#include <event2/event.h>

#include "net/transport.h"

struct connection;

/* Sends queued output, whether or not the kernel has reported room. False when the
 * connection was closed. */
bool connection_io_flush(struct connection *connection)
    __attribute__((warn_unused_result));

/* Continues with a connection that was received from the keeper of a dead worker: its
 * input may hold messages that are not answered yet, or in part. May close it. */
void connection_io_replay(struct connection *connection);

/* The first event callback of a connection over this transport; its argument is the
 * connection. */
event_callback_fn connection_io_callback(const struct transport *transport);

#endif
