/*
 * stats.h - the state of the server as JSON: each answer prints one snapshot.
 */
#ifndef MASTER_ADMIN_STATS_H
#define MASTER_ADMIN_STATS_H

#include "master/master.h"

/* Heap, owned by the caller; NULL when out of memory. */
char *stats_format(const struct master *master);
char *stats_format_workers(const struct master *master);

#endif
