/*
 * reuseport.h - which sockets of a SO_REUSEPORT group get new connections.
 *
 * By default the kernel distributes them by a hash over all sockets of the group. When
 * a slot is to get none (it is being removed, or its worker cannot start), its socket
 * and accept queue stay, but a program selects one of the other sockets: at random, or
 * by the CPU on which the connection arrives (BALANCE_CPU), where a pinned worker finds
 * it in the cache. With every slot in the group that is three instructions:
 *
 *   A = this CPU;  A = A % sockets;  return A
 *
 * It is a classic BPF program, which needs no privilege (SO_ATTACH_REUSEPORT_CBPF,
 * socket(7)). It belongs to the group, not to a socket, and returns an index into the
 * kernel's array of the group's sockets, which listener.c keeps a copy of.
 */
#ifndef MASTER_LISTENERS_REUSEPORT_H
#define MASTER_LISTENERS_REUSEPORT_H

#include <stdbool.h>

#include "master/listeners/listener.h"

/* Directs new connections to the slots with takes_new[slot], or to all if no slot has
 * it: by CPU, or by hash. Does nothing if the order of the group is unknown, or while
 * none of its sockets listens. */
void reuseport_select(struct listener *listener, const bool *takes_new, bool by_cpu);

/* To be called before sockets are added: they get no connections until
 * reuseport_select, so that they can be closed again without loss. */
void reuseport_freeze(struct listener *listener);

#endif
