/*
 * connection_io.h - the bytes of a connection: read, answered (responder.h), sent or
 * kept.
 */
#ifndef WORKER_CONNECTION_IO_H
#define WORKER_CONNECTION_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection;

/* Offers the kernel what waits in the output, whether or not it has asked for more.
 * False when the connection was closed over it. */
bool connection_io_flush(struct connection *connection)
    __attribute__((warn_unused_result));

/* The callback of a connection's event; the argument is the connection. */
void connection_io_on_event(int fd, short what, void *argument);

#endif
