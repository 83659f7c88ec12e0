/*
 * connection_io.h - the events of a connection: reads, has the bytes answered
 * (connection_answer.h), sends what is queued.
 */
#ifndef WORKER_CONNECTION_IO_H
#define WORKER_CONNECTION_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "net/transport.h"

struct connection;

/* Sends queued output, whether or not the kernel has reported room. False when the
 * connection was closed. */
bool connection_io_flush(struct connection *connection)
    __attribute__((warn_unused_result));

/* Continues with a connection that was received. If its worker has died, the input may
 * hold messages that are not answered yet, or in part; it may play a conversation.
 * False when the connection was closed. */
bool connection_io_replay(struct connection *connection);
/* A pause of its conversation is over; `waiter` is the connection. May close it. */
void connection_io_on_pause_over(void *waiter);

/* Discards input of a lingering connection; closes it at its end. */
void connection_io_linger(struct connection *connection);
/* Answers the bytes that were read behind a header, within crash_record_begin() and
 * crash_record_commit(). False when the connection was closed. */
bool connection_io_answer(struct connection *connection, uint8_t *data, size_t length)
    __attribute__((warn_unused_result));
/* The event callback of a connection over this transport that is served; its argument
 * is the connection. */
event_callback_fn connection_io_callback(const struct transport *transport);

#endif
