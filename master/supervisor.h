/*
 * supervisor.h - decides what happens next when a worker is ready, drains, exits, or a
 * change ends: one function per event, with its calls in the written order of
 * ARCHITECTURE.md (order contracts). No other file knows all parts. Three orders are
 * kept elsewhere: the removal of a listening socket (worker/acceptor.c), a
 * transfer (worker/transfer_send.c, transfer_receive.c) and the release of a ledger
 * block (workers/process.c).
 */
#ifndef MASTER_SUPERVISOR_H
#define MASTER_SUPERVISOR_H

#include "master/master.h"

/* Connects the parts of a fresh master, which has an event base and admin listeners. */
void supervisor_init(struct master *master);
/* Starts the periodic tick. 0, or -1. */
int supervisor_start(struct master *master) __attribute__((warn_unused_result));

#endif
