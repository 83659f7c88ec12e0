/*
 * socket_activation.h - listening sockets that the service manager passes
 * (sd_listen_fds(3)): those of a .socket unit, and those that yodeld gave it to keep
 * over a restart or a crash (FDSTORE), with everybody who waits in their queues.
 *
 * Every socket is served. What it kept for us is ours again, each in its slot, and can
 * be retired like any other: with more of them than workers yodeld begins with a worker
 * for each, and retires the surplus when all serve (slot.c). What a unit passes stays
 * the unit's. Where there are more of those for an address than workers, some workers
 * serve several; where there are fewer, several workers share one.
 */
#ifndef MASTER_LISTENERS_SOCKET_ACTIVATION_H
#define MASTER_LISTENERS_SOCKET_ACTIVATION_H

#include "master/master.h"

/* Makes endpoints of the passed sockets that belong to configured listeners, and slots
 * for all that were ours; closes the others aloud. 0, or -1 with the reason logged. */
int socket_activation_take(struct master *master) __attribute__((warn_unused_result));

/* Gives the service manager every socket that it does not keep yet. */
void socket_activation_store(struct master *master);
/* It forgets them, or one: as soon as they are to be emptied, for as long as it keeps
 * one open the kernel lets callers wait there. */
void socket_activation_forget(struct listener *listener);
void socket_activation_forget_slot(struct listener *listener, uint32_t slot);

#endif
