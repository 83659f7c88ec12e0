/*
 * source_address.h - source addresses: which address connection i calls from.
 *
 * One address has about 28,000 ports for each destination. bind() with
 * IP_BIND_ADDRESS_NO_PORT (ip(7)) leaves the port to connect(), so that all addresses
 * share the ports well.
 */
#ifndef CLIENT_PLAN_SOURCE_ADDRESS_H
#define CLIENT_PLAN_SOURCE_ADDRESS_H

#include <stdint.h>

#include "net/address.h"

#include "client/plan/plan.h"

#define SOURCE_ADDRESS_COUNT_MAX 65536 /* taken of one prefix at most */

/* Ports that the kernel may give to connections from one address to one destination
 * (net.ipv4.ip_local_port_range). */
uint32_t source_address_ports(void);

/* Fills plan->source_count and source_first: this rank's share of the addresses of
 * --source-ip, or of as many of 127.0.0.0/8 as all connections need when all targets
 * are on IPv4 loopback. 0, or -1 with one line. */
int source_address_check(struct plan *plan, char *error)
    __attribute__((warn_unused_result));

/* The address that a connection calls from; false when the kernel may choose. */
bool source_address_of(
    const struct plan *plan, uint32_t connection, struct address *ret);

/* The first one in use that the machine has not got; false when it has all, or of more
 * than some hundred those. */
bool source_address_find_nonlocal(const struct plan *plan, struct address *ret);

#endif
