/*
 * fault_reply.h - what faults do to the bytes of one reply.
 */
#ifndef WORKER_FAULT_REPLY_H
#define WORKER_FAULT_REPLY_H

#include <stddef.h>
#include <stdint.h>

struct connection;

/* Changes the reply to the next message, which may be empty, as the faults say, and
 * queues it. 0, or -1 with ENOMEM. */
int fault_reply_add(struct connection *connection, const uint8_t *data, size_t length)
    __attribute__((warn_unused_result));

#endif
