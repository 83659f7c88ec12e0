/*
 * listen.h - a listening TCP socket: bound, with its options, or -1 and one line that
 * names the step, the address, the reason and the remedy. Accepted sockets inherit the
 * options, which saves a call for each connection.
 */
#ifndef NET_LISTEN_H
#define NET_LISTEN_H

#include <stdbool.h>
#include <stddef.h>

#include "net/address.h"
#include "net/listen_overlap.h"
#include "net/socket_options.h"

/* Sockets of one address form a group (socket(7), SO_REUSEPORT). */
enum listen_group {
	LISTEN_ALONE,
	/* Bound without SO_REUSEPORT, which is set afterwards: that fails if another
	 * process is bound to the address, even one of the same user that would share
	 * it. Beside own sockets that overlap it (listen_overlap.h) it is bound with
	 * SO_REUSEPORT, if no other process has one. */
	LISTEN_GROUP_FIRST,
	LISTEN_GROUP_NEXT,
};

struct listen_options {
	const char *name; /* of the address, for errors */
	enum listen_group group;
	int backlog;
	bool is_v6_only;
	bool nodelay;
	bool is_mptcp; /* of the address */
	bool save_syn; /* accepted sockets have their SYN (tcp_syn.h); not MPTCP */
	const char *congestion;               /* NULL: see the functions */
	const struct socket_options *sockets; /* NULL: none */
};

/* Where an error goes: one line in text[size]. */
struct listen_error {
	char *text;
	size_t size;
};

/* Binds a socket that does not listen yet. A descriptor, non-blocking and
 * close-on-exec, with the port in *address if it was 0; or -1 with errno and the error.
 * congestion NULL is the system's default. *ret_overlap is set for LISTEN_GROUP_FIRST:
 * with LISTEN_OVERLAP, listen_start() directs connections to this socket that an own
 * one has received so far, or has no effect on it before that one is retired; with
 * LISTEN_SAME it must follow listen_retire() of the others, or the socket joins their
 * group. */
int listen_bind(struct address *address, const struct listen_options *options,
    enum listen_overlap *ret_overlap, const struct listen_error *error)
    __attribute__((warn_unused_result));
/* 0, or -1 with errno. */
int listen_start(int fd, int backlog) __attribute__((warn_unused_result));
/* As listen_start(), after shutdown(2), which releases a port that the kernel has
 * chosen. */
int listen_restart(int fd, const struct address *address, int backlog)
    __attribute__((warn_unused_result));
/* True if the socket is in the state LISTEN: it is not before listen_start() and after
 * shutdown(2), by any process that has a copy of it. */
bool listen_is_active(int fd);

/* Changes backlog, nodelay, save_syn and congestion of a listening socket; congestion
 * NULL leaves it as it is. 0, or -1 with errno. */
int listen_set_options(int fd, const struct listen_options *options)
    __attribute__((warn_unused_result));
/* The congestion control that the system gives to new sockets, into name[size]; NULL if
 * it cannot be read. */
const char *listen_default_congestion(char *name, size_t size);
/* Whether this host has the address and the options: listen_bind() with a port that the
 * kernel chooses, so that the own one may be in use. 0, or -1 with errno and the error.
 */
int listen_check(const struct address *address, const struct listen_options *options,
    const struct listen_error *error) __attribute__((warn_unused_result));

/* Allows own sockets to be bound beside a socket that was bound alone. */
void listen_allow_others(int fd);

/* Makes the kernel find the socket for no new connection, for ever: a SYN reaches
 * another socket that is bound to its address, or is refused. Handshakes in progress
 * complete, and the accept queue stays. It is a property of the socket, so it acts in
 * every process that shares it. Sockets that are opened afterwards do not join its
 * group. 0, or -1 with errno: kernels before 5.7 need CAP_NET_RAW; there it calls
 * listen_block_new(). */
int listen_retire(int fd);
/* Whether listen_retire() works. */
bool listen_can_retire(void);
/* A listening socket for the same connections as sockets bound to `address`, of a group
 * of its own: an IPv4-mapped IPv6 socket, or an IPv6 one without IPV6_V6ONLY. It
 * receives new connections while the sockets of `address` are replaced. -1 with errno.
 */
int listen_open_stand_in(const struct address *address)
    __attribute__((warn_unused_result));

/* A listening TCP socket in the group of sockets bound to `address`. The group of MPTCP
 * sockets takes a program through it alone (SO_ATTACH_REUSEPORT_CBPF), and keeps the
 * program when it is closed. It is the last of the group, and drops the SYNs that reach
 * it: the client retransmits. -1 with errno. */
int listen_open_member(const struct address *address)
    __attribute__((warn_unused_result));

/* Drops SYNs to the socket: a client retransmits one second later and may reach another
 * socket. Handshakes in progress complete and the queue stays. The filter is a property
 * of the socket, so it acts in every process that shares it. 0, or -1 with errno
 * (socket(7), SO_ATTACH_FILTER; newer kernels need CAP_NET_ADMIN). */
int listen_block_new(int fd);
/* Removes the filter, if there is one. */
void listen_accept_new(int fd);

#endif
