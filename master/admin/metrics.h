/*
 * metrics.h - the state of the server in the text format of Prometheus (version 0.0.4),
 * from the tables of counters and close reasons.
 *
 * Counters never go backwards: those of the ledger outlive their workers, a reload and
 * an upgrade. A slot or a listener that has counted is always shown.
 */
#ifndef MASTER_ADMIN_METRICS_H
#define MASTER_ADMIN_METRICS_H

#include "master/master.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Heap, owned by the caller; NULL when out of memory. */
char *metrics_format(const struct master *master);

#endif
