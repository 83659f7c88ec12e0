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

/* Ends the transfer of a worker that died as its sender. True if the receiver owns the
 * batch: the worker has recorded ACCEPTED, or it can be received now. Then COMMITTED
 * follows, because the receiver may have died as well, and its keeper may be waiting
 * for that. fd is still the caller's. */
bool keeper_send_withdraw(int fd, uint32_t batch, bool is_recorded);

#endif
