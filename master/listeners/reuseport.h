/*
 * reuseport.h - which sockets of a SO_REUSEPORT group get new connections.
 *
 * Left alone, the kernel spreads them by a hash over all sockets of the group. A slot
 * that is to get none (it is being retired, or its worker cannot come up) keeps its
 * socket and its queue, but a small program picks among the others: at random, or by
 * the CPU that the connection arrives on (BALANCE_CPU), where a pinned worker then
 * finds it warm. With every slot in the group that is three instructions:
 *
 *   A = this CPU;  A = A % sockets;  return A
 *
 * The program is a classic BPF one, which takes no privilege (SO_ATTACH_REUSEPORT_CBPF,
 * socket(7)); it belongs to the group, not to a socket, and its answer is an index into
 * the kernel's array of the group's sockets, which listener.c keeps a copy of.
 */
#ifndef MASTER_LISTENERS_REUSEPORT_H
#define MASTER_LISTENERS_REUSEPORT_H

#include <stdbool.h>

#include "master/listeners/listener.h"

/* Where the order of the group is not known nothing is steered: a slot that is to get
 * no new connections then turns them away (listener.h), and they come back. */
/* New connections go to the slots with takes_new[slot] alone, or to all when that is
 * every one of them (or none): by CPU, or by hash. */
void reuseport_select(struct listener *listener, const bool *takes_new, bool by_cpu);

/* For before sockets are added: those that come are given nothing until
 * reuseport_select says otherwise, so that they can be closed again with nobody in
 * their queues. */
void reuseport_freeze(struct listener *listener);

#endif
