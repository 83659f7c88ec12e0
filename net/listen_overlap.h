/*
 * listen_overlap.h - listening TCP sockets that overlap an address: that may receive
 * the same connection. A socket of the wildcard address overlaps one of each address
 * with the same port; an IPv6 wildcard without IPV6_V6ONLY also the IPv4 ones.
 *
 * Read from the descriptors in /proc/self/fd and from /proc/self/net/tcp and tcp6.
 */
#ifndef NET_LISTEN_OVERLAP_H
#define NET_LISTEN_OVERLAP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "net/address.h"

/* The index of no interface, to which a retired socket is bound (listen.h). */
#define LISTEN_NO_INTERFACE INT_MAX

enum listen_overlap {
	LISTEN_NO_OVERLAP,
	LISTEN_OVERLAP, /* with the wildcard, or of the wildcard */
	LISTEN_SAME,    /* the same address, and not retired */
};

/* Which of them this process has open. */
enum listen_overlap listen_overlap_own(const struct address *address);

/* Whether the socket accepts IPv4 as well as IPv6; `own` is its address. */
bool listen_is_dual_stack(int fd, const struct address *own);

/* Whether another process has one: its address and user id are then written to
 * holder[size], else "". False also if /proc cannot be read. */
bool listen_overlap_find_other(
    const struct address *address, char *holder, size_t size);

#endif
