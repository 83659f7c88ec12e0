/*
 * transfer_state.h - frozen connections as one batch of a transfer (proto/transfer.h),
 * and their partial input, unsent output and about in a memory file: written by the
 * sender, checked and read by the receiver.
 */
#ifndef WORKER_TRANSFER_STATE_H
#define WORKER_TRANSFER_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/transfer.h"

struct connection;
struct listener_config;

/* Equal for listeners between which connections can move (proto/transfer.h, opening).
 */
uint64_t transfer_state_opening(const struct listener_config *config);

/* Bytes of input, output and about that move with a connection. */
uint64_t transfer_state_bytes(const struct connection *connection);

/* Sends at most TRANSFER_BATCH_MAX connections, which do not change. 0, or -1 with
 * errno and nothing sent. */
int transfer_state_send(int fd, struct connection *const *connections, uint32_t count)
    __attribute__((warn_unused_result));

/* True if the memory file (-1: none) has the total size of the records, so that the
 * receiver never allocates memory for a wrong number. Rewinds the file. */
bool transfer_state_is_complete(const struct transfer_batch *batch, int state_fd);

/* Overwrites the memory file if the batch has keys of TLS. */
void transfer_state_wipe(const struct transfer_batch *batch, int state_fd);

/* Reads the input and output of the next record into its connection. */
int transfer_state_read(
    struct connection *connection, const struct transfer_record *record, int state_fd)
    __attribute__((warn_unused_result));

#endif
