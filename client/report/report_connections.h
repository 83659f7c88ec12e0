/* report_connections.h - what became of the connections, in lines that the text report
 * and the page share. Each function writes one line into out[REPORT_LINE_MAX]
 * and returns it; "" if there is nothing to say. */
#ifndef CLIENT_REPORT_REPORT_CONNECTIONS_H
#define CLIENT_REPORT_REPORT_CONNECTIONS_H

#include <stdbool.h>

#include "client/report/report_line.h"
#include "client/result/result.h"

/* How the peer ended the connections that yodel closed, unless all ended in order. */
const char *report_connections_close(const struct result *result, char *out);

/* The time that went into waiting for FINs that did not come, where the connections are
 * reopened. */
const char *report_connections_wait(const struct result *result, char *out);

/* Full accept queues, subflows and fallbacks of Unix sockets and MPTCP. */
const char *report_connections_sockets(const struct result *result, char *out);

/* The socket options, and what the kernel has made of them. */
const char *report_connections_options(const struct result *result, char *out);

/* The attempts at one address; "" if the target is that address. */
const char *report_connections_address(const struct result_address *address, char *out);

/* All connections lost for one cause. */
const char *report_connections_losses(const struct result_losses *losses, char *out);

/* One of the first lost connections: which, when and why; what was outstanding. */
const char *report_connections_lost(
    const struct result_lost_connection *lost, char *out);
const char *report_connections_outstanding(
    const struct result_lost_connection *lost, char *out);

/* True for the first of the lost connections with its cause. */
bool report_connections_is_example(const struct result *result, size_t index);

#endif
