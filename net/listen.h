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

/* Sockets of one address form a group (socket(7), SO_REUSEPORT). The first one is bound
 * without SO_REUSEPORT: that fails if another process is bound to the address, even one
 * of the same user that would share it. */
enum listen_group { LISTEN_ALONE, LISTEN_GROUP_FIRST, LISTEN_GROUP_NEXT };

struct listen_options {
	const char *name; /* of the address, for errors */
	enum listen_group group;
	int backlog;
	bool is_v6_only;
	bool nodelay;
	const char *congestion; /* NULL: see the functions */
};

/* Binds and listens. A descriptor, non-blocking and close-on-exec, with the port in
 * *address if it was 0; or -1 with errno and the error. congestion NULL is the system's
 * default. */
int listen_open(struct address *address, const struct listen_options *options,
    char *error, size_t error_size) __attribute__((warn_unused_result));

/* Changes backlog, nodelay and congestion of a listening socket; congestion NULL leaves
 * it as it is. 0, or -1 with errno. */
int listen_set_options(int fd, const struct listen_options *options)
    __attribute__((warn_unused_result));
/* The congestion control that the system gives to new sockets, into name[size]; NULL if
 * it cannot be read. */
const char *listen_default_congestion(char *name, size_t size);
/* Whether the kernel would accept options->congestion. 0, or -1 with the error. */
int listen_check_congestion(int family, const struct listen_options *options,
    char *error, size_t error_size) __attribute__((warn_unused_result));

/* Drops SYNs to the socket, before its accept queue is emptied: a client retransmits
 * one second later and reaches another socket. Handshakes in progress complete and the
 * queue stays. The filter is a property of the socket, so it acts in every process that
 * shares it. 0, or -1 with errno (socket(7), SO_ATTACH_FILTER). */
int listen_block_new(int fd);
/* Removes the filter, if there is one. */
void listen_accept_new(int fd);

#endif
