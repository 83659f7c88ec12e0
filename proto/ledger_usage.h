/* ledger_usage.h - open connections and accepts of all workers as they are now, in
 * total or from one address: what the limits of yodeld are compared with. They are read
 * from the gauges that each worker publishes (proto/open_count.h,
 * proto/address_usage.h). */
#ifndef PROTO_LEDGER_USAGE_H
#define PROTO_LEDGER_USAGE_H

#include <stdint.h>

#include "proto/ledger.h"

/* Open connections by the gauges of all workers, for limits: never less than the
 * connections that are open before and after. More if a worker has stopped for a moment
 * between two steps of a transfer, or falsifies its version: then the largest of a few
 * readings. */
uint64_t ledger_usage_open(struct ledger *ledger);
/* A worker's gauge of open connections, at most connections_max. */
uint64_t ledger_usage_open_at(const struct ledger *ledger, uint32_t entry);

/* An address whose usage one worker wants to know. */
struct ledger_usage_address {
	uint64_t id; /* address_usage_id() */
	uint32_t own_entry;
	struct open_count own_open; /* at that worker, whose table may lack it */
};

/* Open connections of an address at all workers, as ledger_usage_open(). */
uint64_t ledger_usage_open_from(
    struct ledger *ledger, const struct ledger_usage_address *address);
/* Accepts in the second before now_ms, in 1/1000, at all workers except that of
 * own_entry, and of workers that have exited. They do not move. */
uint64_t ledger_usage_accepts_from(
    struct ledger *ledger, const struct ledger_usage_address *address, uint64_t now_ms);

#endif
