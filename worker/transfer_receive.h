/*
 * transfer_receive.h - the worker's side of a hand-over that takes connections over
 * (proto/transfer.h). A worker can take from several givers at a time.
 */
#ifndef WORKER_TRANSFER_RECEIVE_H
#define WORKER_TRANSFER_RECEIVE_H

#include <stdint.h>

struct worker;

/* Takes what comes from fd (owned) until the giver ends. `id` is the master's name for
 * the hand-over: CHANNEL_RECEIVED carries it. */
void transfer_receive_start(struct worker *worker, int fd, uint32_t id);

/* Ends all of them: what has been taken is ours. */
void transfer_receive_stop_all(struct worker *worker);

#endif
