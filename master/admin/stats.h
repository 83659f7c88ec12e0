/*
 * stats.h - the state of the server as JSON, for programs.
 * Each answer prints one snapshot.
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

#endif
