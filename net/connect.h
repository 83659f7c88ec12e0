/* connect.h - one TCP connection, waited for no longer than asked. */
#ifndef NET_CONNECT_H
#define NET_CONNECT_H

#include <stdint.h>

#include "net/address.h"

/* A connected, non-blocking descriptor that the caller closes, or -1 with errno
 * (ETIMEDOUT after timeout_ns; 0 waits as long as the kernel does). Blocks. */
int connect_tcp(const struct address *address, uint64_t timeout_ns)
    __attribute__((warn_unused_result));

#endif
