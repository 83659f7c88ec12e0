/*
 * transfer_send.h - the worker's side of a transfer that sends connections away
 * (proto/transfer.h).
 */
#ifndef WORKER_TRANSFER_SEND_H
#define WORKER_TRANSFER_SEND_H

#include <stdbool.h>
#include <stdint.h>

struct worker;

/* Sends connections to the worker at the other end of fd (owned), until all that can
 * move have moved and no new ones will come. `id` is the master's number of the
 * transfer, which CHANNEL_SENT carries. `selection` is the value of
 * CHANNEL_SEND_CONNECTIONS: with a count in it the worker continues to serve, and the
 * transfer ends when that many have moved or no open connection can. */
void transfer_send_start(
    struct worker *worker, int fd, uint32_t id, uint64_t selection);

/* True while a transfer of all connections is under way. */
bool transfer_send_is_sending_all(const struct worker *worker);

/* Sets whether a transfer of all connections will start: those that it may move are not
 * drained until then. */
void transfer_send_expect(struct worker *worker, bool is_expected);

/* Sends the next batch if none is in flight: for when connections may have been
 * accepted or the last listener was closed. */
void transfer_send_continue(struct worker *worker);

/* Ends the transfer at once: connections in flight stay here, except those that the
 * receiver has already accepted. */
void transfer_send_stop(struct worker *worker);

#endif
