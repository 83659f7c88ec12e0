/*
 * tls_transport.h - the stream of a connection with TLS: records opened and sealed
 * behind the functions of a transport, so that replies, queues and faults see
 * application bytes.
 *
 *   recv -> worker->tls.received -> opened -> worker->input      (all whole records)
 *   data -> sealed -> worker->tls.sealed -> send -> the rest into tls->unsent
 *
 * Both buffers lie in the region that the keeper reads. What was received stays there
 * until the crash record is committed, and what was sealed is published
 * (crash_record.h) before it is sent: after the worker's death, nothing is sealed a
 * second time under the same sequence number.
 *
 * connection->received and connection->sent count the bytes of the socket, as for any
 * connection: the kernel's counters are compared with them.
 */
#ifndef WORKER_TLS_TRANSPORT_H
#define WORKER_TLS_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/tls/tls_record.h"
#include "net/transport.h"
#include "worker/connection/worker_state.h"

struct connection;

#define TLS_TRANSPORT_RECEIVED_BYTES WORKER_INPUT_BYTES
/* Application bytes that are sealed for one send. */
#define TLS_TRANSPORT_CHUNK ((size_t)WORKER_INPUT_BYTES)
#define TLS_TRANSPORT_SEALED_BYTES TLS_SEALED_MAX(TLS_TRANSPORT_CHUNK)

/* A stream with this transport is that of a struct connection with tls. */
extern const struct transport transport_tls;

/* Reads once, or until data or an end has come, and opens all whole records into
 * data[WORKER_INPUT_BYTES]. Returns the bytes of data, 0 at the peer's close_notify, or
 * -1 with errno, among others EAGAIN; ECONNABORTED: the stream ended without
 * close_notify; EPROTO: the peer sent another alert; EBADMSG: a bad record. *ret_more:
 * the buffer was filled, so that more may have come. */
ssize_t tls_transport_receive(struct connection *connection, uint8_t *data,
    bool *ret_more) __attribute__((warn_unused_result));

/* Opens the records that came with a connection whose worker has died, and appends
 * their data to the input. 0, or -1 with errno. */
int tls_transport_open_kept(struct connection *connection)
    __attribute__((warn_unused_result));

/* Sends close_notify, or the alert of a bad record, if that was not done. False if it
 * waits for room in the socket: then the connection has an output without bytes. */
bool tls_transport_end(struct connection *connection)
    __attribute__((warn_unused_result));
/* As tls_transport_end(), at a close, where nothing can wait. */
void tls_transport_end_at_close(struct connection *connection);

#endif
