/*
 * keeper_send.h - the sender of a transfer (proto/transfer.h) in a keeper: blocks until
 * the transfer has ended.
 */
#ifndef KEEPER_KEEPER_SEND_H
#define KEEPER_KEEPER_SEND_H

#include <stdbool.h>
#include <stdint.h>

#include "keeper/kept.h"

/* Sends what it can to the worker at the other end of fd (owned). Returns how many
 * connections moved, and a flag if some are left: CHANNEL_SENT_FULL if another worker
 * may take them, CHANNEL_SENT_UNSERVED if only one with the same listeners can. */
uint64_t keeper_send(struct kept *kept, int fd);

/* Asks the receiver of a batch whether it has accepted it, so that exactly one of the
 * two owns the connections: for a worker that died while it sent them. fd is still the
 * caller's. */
bool keeper_send_withdraw(int fd, uint32_t batch);

#endif
