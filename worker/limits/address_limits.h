/*
 * address_limits.h - limits for one client address: how many connections it has open at
 * a listener, and how fast it opens new ones. An address is an IPv4 address (also an
 * IPv4-mapped one) or the first 64 bits of an IPv6 address, because a site is assigned
 * at least a /64 (RFC 6177).
 *
 * When the table is full the address that has been without connections for longest is
 * evicted; if every address has connections, a new address is refused. The limits apply
 * to all workers together (proto/address_usage.h); n workers that accept in the same
 * instant may exceed them by n - 1.
 */
#ifndef WORKER_ADDRESS_LIMITS_H
#define WORKER_ADDRESS_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/close_reason.h"
#include "proto/ledger.h"
#include "conf/config.h"

struct address_limits;

/* A table of `capacity` addresses for the worker of this ledger entry (worker_ledger:
 * the same, writable); without ledger (NULL) it counts this worker's connections alone.
 * NULL with errno. */
struct address_limits *address_limits_create(size_t capacity, struct ledger *ledger,
    uint32_t ledger_entry, struct worker_ledger *worker_ledger);
void address_limits_destroy(struct address_limits *limits);

/* Whether the peer may open one more connection now. If it may, that counts for
 * accept_rate: no more than that in a sliding second, also over reloads and crashes.
 * CLOSE_NONE, or the reason to refuse it. `listener` is its number in the
 * ledger. */
enum close_reason address_limits_check(struct address_limits *limits, uint32_t listener,
    const struct listener_config *config, const struct address_compact *peer,
    uint64_t now_ms) __attribute__((warn_unused_result));

/* A connection of the peer was opened or closed, or moves from or to another worker
 * (proto/open_count.h). For each listener with such limits. */
void address_limits_change(struct address_limits *limits, uint32_t listener,
    const struct address_compact *peer, const struct open_change *change);

/* True if the listener limits single addresses. */
static inline bool
address_limits_are_set(const struct listener_config *config)
{
	return config->max_connections_per_address != 0 || config->accept_rate != 0;
}

#endif
