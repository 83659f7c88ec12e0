/*
 * source_address.h - the source address of each connection.
 *
 * One address has about 28,000 ports for each destination. bind() with
 * IP_BIND_ADDRESS_NO_PORT (ip(7)) leaves the choice of the port to connect(), which may
 * use the same port for different destinations.
 */
#ifndef CLIENT_PLAN_SOURCE_ADDRESS_H
#define CLIENT_PLAN_SOURCE_ADDRESS_H

#include <stdint.h>

#include "net/address.h"
#include "client/plan/plan.h"

#define SOURCE_ADDRESS_BITS 22
/* Addresses used of all prefixes: one for each of the most connections. */
#define SOURCE_ADDRESS_COUNT_MAX (UINT32_C(1) << SOURCE_ADDRESS_BITS)

/* Number of local ports for one source address and destination
 * (net.ipv4.ip_local_port_range), without those that are reserved. */
uint32_t source_address_ports(void);
/* Ports in that range that connect(2) does not choose
 * (net.ipv4.ip_local_reserved_ports). */
uint32_t source_address_ports_reserved(void);

/* Number of the ports from `first` to `last` in a list like "8080,9000-9010". */
uint32_t source_address_reserved(uint32_t first, uint32_t last, const char *list);

/* Sets plan->source_count and source_first: this rank's share of the addresses of
 * --source-ip, or of 127.0.0.0/8 if all targets are on IPv4 loopback and one address
 * has too few ports. 0, or -1 with one line. */
int source_address_check(struct plan *plan, char *error)
    __attribute__((warn_unused_result));

/* The source address of a connection; false if the kernel chooses it. */
bool source_address_of(
    const struct plan *plan, uint32_t connection, struct address *ret);

/* The first source address that is not local; false if the first few hundred are
 * local. */
bool source_address_find_nonlocal(const struct plan *plan, struct address *ret);

#endif
