/*
 * stats.h - the state of the server as JSON, for programs.
 *
 * Each answer is one look at the ledger, so that in each of them
 *
 *   connections_accepted = connections_open + the sum of connections_closed
 *
 * whatever happens to workers meanwhile.
 */
#ifndef MASTER_ADMIN_STATS_H
#define MASTER_ADMIN_STATS_H

#include "master/master.h"

struct drain_summary;

/* Heap, owned by the caller; NULL when out of memory. */
char *stats_format(const struct master *master);
char *stats_format_workers(const struct master *master);
/* How a change ended: {ok, text, generation, ...}, and if it sends workers away, how
 * that went (NULL: it does not). */
char *stats_format_outcome(const struct master *master, bool is_good, const char *text,
    const struct drain_summary *drain_summary);

/* Connections that the workers of one slot hold. While one is on its way between two
 * workers its end may be booked before its arrival is: that is none. */
uint64_t stats_slot_open(const struct ledger_totals *totals);

#endif
