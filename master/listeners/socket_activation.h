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

#include "master/listeners/listener_set.h"

struct passed_sockets {
	struct listener_set *set;
	const struct config *config;
	uint32_t slot_count; /* raised where stored sockets need more slots */
};

/* Adds the passed sockets of configured listeners to the set, and closes the others
 * with a warning. 0, or -1 with the reason logged. */
int socket_activation_take(struct passed_sockets *passed)
    __attribute__((warn_unused_result));

/* Stores every socket in the service manager that is not stored yet. */
void socket_activation_store(const struct listener_set *set, uint32_t slot_count);
/* Removes all sockets of a listener from the store, or one. This comes before its queue
 * is emptied: while the service manager keeps a socket open, connections can arrive. */
void socket_activation_forget(struct listener *listener);
void socket_activation_forget_slot(struct listener *listener, uint32_t slot);

#endif
