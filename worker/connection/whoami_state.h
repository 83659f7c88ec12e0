/*
 * whoami_state.h - what the reply "whoami" tells of a connection, and keeps for it:
 * connection->about, bytes that move with it to another worker.
 *
 *   | struct about: accepted when, from whom, ..., a snapshot | SYN | PROXY header |
 *   | TLS |
 *
 * A reply must be the same when it is made again after the death of a worker
 * (crash_record.h). So the values that change (age, TCP_INFO, the worker) are read once
 * for all replies between crash_record_begin() and crash_record_commit(), into the
 * snapshot; where a part of the replies has been sent (connection->skip), the snapshot
 * that has moved with the connection is used again.
 */
#ifndef WORKER_WHOAMI_STATE_H
#define WORKER_WHOAMI_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/proxy_header.h"
#include "net/tcp_syn.h"

struct connection;
struct tls_handshake;

#define WHOAMI_TLS_MAX 512 /* bytes */
/* Bytes of connection->about, at most. */
#define WHOAMI_ABOUT_MAX (512 + TCP_SYN_MAX + PROXY_HEADER_MAX + WHOAMI_TLS_MAX)

/* Creates the state of a connection that is accepted at a listener with this reply, or
 * has come without it. 0, or -1 with ENOMEM. */
int whoami_state_create(struct connection *connection)
    __attribute__((warn_unused_result));
/* Drops what a correct worker would not have sent with the connection. */
void whoami_state_check(struct connection *connection);
/* Keeps the header of the connection. 0, or -1 with ENOMEM. */
int whoami_state_add_header(struct connection *connection, const uint8_t *header,
    size_t length) __attribute__((warn_unused_result));

/* CLOCK_MONOTONIC; 0 without connection->about. */
uint64_t whoami_state_accepted_ns(const struct connection *connection);
/* The headers of its SYN, into ret[TCP_SYN_MAX]; their bytes, 0: unknown. */
size_t whoami_state_syn(const struct connection *connection, uint8_t *ret);
/* Keeps the facts of a handshake that is done. 0, or -1 with ENOMEM. */
int whoami_state_add_tls(struct connection *connection,
    const struct tls_handshake *handshake) __attribute__((warn_unused_result));

/* Writes the reply to a message into out[WHOAMI_MAX]; its bytes. */
size_t whoami_state_write(const struct connection *connection, char *out);

#endif
