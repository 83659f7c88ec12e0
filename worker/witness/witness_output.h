/*
 * witness_output.h - what a witness sends: answers, echoed bytes, and the pattern, of
 * which only so much is queued as may wait for the peer.
 */
#ifndef WORKER_WITNESS_OUTPUT_H
#define WORKER_WITNESS_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/witness/witness.h"

struct connection;

/* Bytes that may wait for the peer; above that nothing is read. */
#define WITNESS_UNSENT_MAX ((size_t)64 * 1024)

/* True while bytes of say or source are not sent yet, or more than WITNESS_UNSENT_MAX
 * bytes wait. */
bool witness_output_is_full(const struct connection *connection);

/* Queues bytes with which `replies` replies end. False when the connection was closed
 * for lack of memory. */
bool witness_output_add(struct connection *connection, const void *data, size_t length,
    uint64_t replies) __attribute__((warn_unused_result));
/* The line of an answer; record NULL: unknown. */
bool witness_output_answer(struct connection *connection,
    enum witness_command_kind kind, const struct witness_record *record)
    __attribute__((warn_unused_result));

/* Sends until the kernel takes no more, or *ret_has_more: for a while. False when the
 * connection was closed. */
bool witness_output_send(struct connection *connection, bool *ret_has_more)
    __attribute__((warn_unused_result));

/* The connection has failed with errno. */
void witness_output_close(struct connection *connection, int error);

#endif
