/*
 * proxy_phase.h - the phase of a connection in which it awaits its PROXY header
 * (net/proxy_header.h), with an event callback of its own: a connection that is served
 * pays nothing for it.
 *
 * The bytes of an incomplete header are the input of the connection, with which it
 * moves to another worker. The header does not count as received bytes: it is not the
 * client's. A header with the command LOCAL ends the phase only when the first byte
 * behind it has come, because a health check sends none.
 */
#ifndef WORKER_PROXY_PHASE_H
#define WORKER_PROXY_PHASE_H

#include <stdbool.h>

#include <event2/event.h>

struct connection;

/* The event callback of the phase; its argument is the connection. */
void proxy_phase_on_event(evutil_socket_t fd, short what, void *argument);

/* For a connection received from the keeper of a dead worker: ends the phase if the
 * header is in its input. True if the connection is served: its input is answered by
 * connection_io_replay(). */
bool proxy_phase_replay(struct connection *connection)
    __attribute__((warn_unused_result));

/* timeouts.handshake is over: closes the connection, or serves it if the header was
 * complete and LOCAL. */
void proxy_phase_expire(struct connection *connection);

#endif
