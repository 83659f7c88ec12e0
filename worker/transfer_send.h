/*
 * transfer_send.h - the worker's side of a hand-over that gives connections away
 * (proto/transfer.h).
 */
#ifndef WORKER_TRANSFER_SEND_H
#define WORKER_TRANSFER_SEND_H

#include <stdbool.h>
#include <stdint.h>

struct worker;

/* Starts to move connections to whoever holds the other end of fd (owned), and goes on
 * until every connection that can move has moved and no more come. `id` is the master's
 * name for the hand-over: CHANNEL_SENT carries it. `what` is the value of
 * CHANNEL_SEND_CONNECTIONS: with a count in it the worker serves on, and the hand-over
 * ends when so many have moved, or nothing that is here now can. */
void transfer_send_start(struct worker *worker, int fd, uint32_t id, uint64_t what);

/* A hand-over of everything is under way. */
bool transfer_send_is_sending_all(const struct worker *worker);

/* Moves on: for when there may be new connections to move, or no more listeners. */
void transfer_send_continue(struct worker *worker);

/* Whether a transfer of all connections will start (worker->transfers.is_expected). */
void transfer_send_expect(struct worker *worker, bool is_expected);

/* Ends the hand-over at once: what is on its way stays here, but for what the taker has
 * said that it took. */
void transfer_send_stop(struct worker *worker);

#endif
