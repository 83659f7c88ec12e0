/*
 * fault_injection.h - carries out the faults on a connection: the event callback of
 * connections whose listener has faults, in place of that of connection_io.c.
 *
 * A message is read, answered and put into the output with its faults in one step of
 * the crash record; the output is sent in the next ones. So a reply is never made twice
 * after a part of it was sent, and a fault may depend on what is not repeatable.
 */
#ifndef WORKER_FAULT_INJECTION_H
#define WORKER_FAULT_INJECTION_H

#include <stdbool.h>

#include "net/address.h"
#include "worker/connection/fault_state.h"
#include "worker/connection/worker_state.h"

/* Chooses the event callback of new connections of the listener. */
void fault_injection_prepare(struct worker_listener *listener);
/* True if a fault resets the connection instead of serving it; counts that. */
bool fault_injection_refuses(
    const struct worker_listener *listener, const struct address *peer);
/* A connection of a listener with faults is served from now on, or its listener gets
 * faults. False when it is closed. */
bool fault_injection_open(struct connection *connection);
/* The faults of its listener have changed: they begin anew. False when the connection
 * is closed. */
bool fault_injection_restart(struct connection *connection);
/* Neither reads nor sends for that long (FAULT_FOR_EVER), from now on. */
void fault_injection_stall(struct connection *connection, uint64_t time_ns);

/* Makes this file's callback that of a connection that is not watched. */
void fault_injection_adopt(struct connection *connection);
/* Sends what is due. False when the connection is closed. */
bool fault_injection_flush(struct connection *connection);
/* A connection that was frozen is served again: continues where it, or another worker,
 * was. False when it is closed. */
bool fault_injection_replay(struct connection *connection);

#endif
