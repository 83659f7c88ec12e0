/*
 * tls_phase.h - the phase of a connection in which it makes its TLS handshake
 * (net/tls/tls_handshake.h), with an event callback of its own: a connection that is
 * served pays nothing for it.
 *
 * It lasts from the accept, or the end of the PROXY header, until the last byte of the
 * handshake is sent. Memory of the handshake is allocated with the first byte from the
 * client. From then on the connection cannot move: a worker that leaves waits for the
 * end of the handshake, and one that dies loses the connection (close reason
 * worker_lost).
 */
#ifndef WORKER_TLS_PHASE_H
#define WORKER_TLS_PHASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

struct connection;

/* The event callback of the phase; its argument is the connection. */
void tls_phase_on_event(evutil_socket_t fd, short what, void *argument);

/* Takes bytes that were read behind a PROXY header, within crash_record_begin() and
 * crash_record_commit(); then call tls_phase_on_event(). False when the connection was
 * closed. */
bool tls_phase_take(struct connection *connection, const uint8_t *data, size_t length)
    __attribute__((warn_unused_result));

/* For a connection that was received: begins the handshake with the bytes in its input.
 * True if the connection is not in this phase. */
bool tls_phase_replay(struct connection *connection)
    __attribute__((warn_unused_result));

/* timeouts.handshake is over. */
void tls_phase_expire(struct connection *connection);

#endif
