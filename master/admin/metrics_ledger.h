/*
 * metrics_ledger.h - the counters of the ledger as metrics: by worker, by listener, and
 * ends by reason. A worker or a listener that has counted is shown for ever.
 */
#ifndef MASTER_ADMIN_METRICS_LEDGER_H
#define MASTER_ADMIN_METRICS_LEDGER_H

#include <stdbool.h>
#include <stdio.h>

#include "master/master.h"

#define METRICS_PREFIX "yodeld_" /* of every name */

/* One look: every figure of an answer is of the same moment. */
struct metrics_ledger {
	struct ledger_totals workers[LEDGER_SLOTS];
	bool is_shown[LEDGER_SLOTS];
	struct ledger_totals listeners[LEDGER_LISTENERS];
};

void metrics_ledger_read(const struct master *master, struct metrics_ledger *ret);
void metrics_ledger_write(
    FILE *out, const struct master *master, const struct metrics_ledger *view);

#endif
