/*
 * transfer_receive.h - the worker's side of a transfer that receives connections
 * (proto/transfer.h). A worker can receive from several senders at a time.
 */
#ifndef WORKER_TRANSFER_RECEIVE_H
#define WORKER_TRANSFER_RECEIVE_H

#include <stdint.h>

struct worker;

/* Receives connections from fd (owned) until the sender ends. `id` is the master's
 * number of the transfer, which CHANNEL_RECEIVED carries. */
void transfer_receive_start(struct worker *worker, int fd, uint32_t id);

/* Ends all transfers: accepted connections remain with this worker. */
void transfer_receive_stop_all(struct worker *worker);

#endif
