/*
 * socket_activation.h - listening sockets that the service manager passes
 * (sd_listen_fds(3)): those of a .socket unit, and those that yodeld has stored there
 * over a restart or a crash (FDSTORE), with the connections in their accept queues.
 *
 * Every socket is served. A socket of a unit stays open as long as the unit: with more
 * sockets than workers, some workers serve several of them; with fewer, several workers
 * share one.
 *
 * A stored socket receives connections until the new instance has sockets of its own,
 * and is then replaced: what its SO_REUSEPORT group has gone through is not known (its
 * order, a program, other members), that of a new group is. It becomes a listener that
 * the previous configuration had: retired, emptied by a worker, closed. The order loses
 * no connection:
 *
 *   bind the new sockets        this can fail, and nothing has changed
 *   open stand-ins              where a new socket has the address of a stored one
 *   retire the stored sockets   new connections reach the stand-ins
 *   listen on the new sockets   a group of their own: no other socket has their address
 *   retire the stand-ins        which are then emptied like the stored sockets
 */
#ifndef MASTER_LISTENERS_SOCKET_ACTIVATION_H
#define MASTER_LISTENERS_SOCKET_ACTIVATION_H

#include "master/listeners/listener_set.h"

/* Adds the passed sockets to the set: those of a unit as listeners of the
 * configuration, whose slots [0, slot_count) all have a socket then, stored ones as
 * removed listeners. Those for which no listener is configured are closed with a
 * warning. 0, or -1 with the reason logged. */
int socket_activation_take(struct listener_set *set, const struct config *config)
    __attribute__((warn_unused_result));
/* Whether a stored socket was passed. */
bool socket_activation_has_stored(const struct listener_set *set);
/* Before new sockets listen in place of the stored ones. */
void socket_activation_retire_stored(struct listener_set *set);
/* When all new sockets listen. */
void socket_activation_retire_stand_ins(const struct listener_set *set);

/* Stores every socket in the service manager that is not stored yet, and removes those
 * of the previous instance. */
void socket_activation_store(const struct listener_set *set, uint32_t slot_count);
/* Removes all sockets of a listener from the store, or one. This comes before its queue
 * is emptied: while the service manager keeps a socket open, connections can arrive. */
void socket_activation_forget(struct listener *listener);
void socket_activation_forget_slot(struct listener *listener, uint32_t slot);

#endif
