/*
 * address_limits.h - who has come to the listeners that limit it for each address: how
 * many connections an address has open there, and how fast it opens new ones.
 *
 * An address is an IPv4 address or the first 64 bits of an IPv6 one (what a network is
 * given at least; RFC 6177): whoever has one of a /64 has all of them. An IPv4-mapped
 * one counts as IPv4.
 *
 * The table has a fixed number of places and never grows: an address without open
 * connections is forgotten when its place is needed, the one that was quiet for longest
 * first. Who finds no place is not let in. What the workers tell each other of it
 * (proto/address_usage.h) makes the limits those of all workers together; what several
 * accept in the same instant may be over it by one for each.
 */
#ifndef WORKER_ADDRESS_LIMITS_H
#define WORKER_ADDRESS_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/close_reason.h"
#include "proto/ledger.h"

#include "conf/config.h"

#include "worker/peer.h"

struct address_limits;

/* A table of `places` addresses, for the worker of these books; without them it counts
 * for itself. NULL with errno. */
struct address_limits *address_limits_create(
    size_t capacity, const struct ledger *ledger, struct worker_ledger *worker_ledger);
void address_limits_destroy(struct address_limits *address_limits);

/* May the peer open one more connection at this time? Takes one of its accept_rate.
 * CLOSE_REASON_COUNT, or the reason to refuse it. `listener` is its number in the
 * ledger; a listener without such limits lets everybody in. */
enum close_reason address_limits_check(struct address_limits *address_limits,
    uint32_t listener, const struct listener_config *config, const struct peer *peer,
    uint32_t now_ms) __attribute__((warn_unused_result));

/* A connection of the peer was opened, or came from another worker; it ended, or went
 * to another worker. For each listener with such limits, in pairs. */
void address_limits_add(
    struct address_limits *address_limits, uint32_t listener, const struct peer *peer);
void address_limits_remove(
    struct address_limits *address_limits, uint32_t listener, const struct peer *peer);

/* True when the listener limits what one address may do. */
static inline bool
address_limits_are_set(const struct listener_config *config)
{
	return config->max_connections_per_address != 0 || config->accept_rate != 0;
}

#endif
