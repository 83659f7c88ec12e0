/*
 * transfer_state.h - suspended connections as one batch of a hand-over
 * (proto/transfer.h): what transfer_send.c sends and transfer_receive.c unpacks.
 */
#ifndef WORKER_TRANSFER_STATE_H
#define WORKER_TRANSFER_STATE_H

#include <stdint.h>

struct connection;

/* Bytes of unfinished input and unsent output that go along with a connection. */
uint64_t transfer_state_bytes(const struct connection *connection);

/* Sends at most TRANSFER_BATCH_MAX of them, which stay as they are here. 0, or -1 with
 * errno and nothing sent. */
int transfer_state_send(int fd, struct connection *const *connections, uint32_t count)
    __attribute__((warn_unused_result));

#endif
