/*
 * connect.h - opens one connection within a time limit. The calls block. The caller
 * closes the descriptor.
 */
#ifndef NET_CONNECT_H
#define NET_CONNECT_H

#include <stdint.h>

#include "net/address.h"

/* A connected, non-blocking descriptor, or -1 with errno (ETIMEDOUT after timeout_ns; 0
 * leaves the limit to the kernel). The address is of any kind. */
int connect_stream(const struct address *address, uint64_t timeout_ns)
    __attribute__((warn_unused_result));

/* As connect_stream(), for an address of TCP. */
int connect_tcp(const struct address *address, uint64_t timeout_ns)
    __attribute__((warn_unused_result));

/* A descriptor, blocking, connected to the Unix stream socket at `path`, or -1 with
 * errno (ETIMEDOUT: the accept queue was full for timeout_ns). */
int connect_unix(const char *path, uint64_t timeout_ns)
    __attribute__((warn_unused_result));

/* Binds a socket to the address that it will connect from. The port is chosen by
 * connect(2), so that connections to different peers can share one (ip(7),
 * IP_BIND_ADDRESS_NO_PORT). 0, or -1 with errno. */
int connect_bind_source(int fd, const struct address *source)
    __attribute__((warn_unused_result));

/* Describes the error of a failed connect to the address: strerror(3), with what the
 * errors that its text does not explain mean here. Static storage. */
const char *connect_error_text(const struct address *address, int error);

#endif
