/*
 * socket_activation.h - listening sockets that the service manager passes
 * (sd_listen_fds(3)): those of a .socket unit, and those that yodeld has stored there
 * over a restart or a crash (FDSTORE), with the connections in their accept queues.
 *
 * Every socket is served. A stored socket returns to its slot, and can be removed like
 * any other: with more stored sockets than workers, yodeld starts a worker for each and
 * removes the surplus slots when all serve (supervisor.c). A socket of a unit stays
 * open as long as the unit: with more sockets than workers, some workers serve several
 * of them; with fewer, several workers share one.
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
