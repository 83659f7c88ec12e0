/* server_stats.h - the counters of the servers (--ledger), read before and after a run.
 * Behind a load balancer there are several servers; their sum is reconciled. */
#ifndef CLIENT_RUN_SERVER_STATS_H
#define CLIENT_RUN_SERVER_STATS_H

#include "client/plan/plan.h"
#include "client/result/reconcile.h"

/* Reads them before the run. 0, with an array of one entry per --ledger in *ret (the
 * caller frees it; NULL without --ledger), or an exit status after one line on stderr.
 */
int server_stats_open(const struct plan *plan, struct reconcile_server **ret)
    __attribute__((warn_unused_result));

/* The counters of a server now. 0, or -1 with one line in error[PLAN_ERROR_MAX]. */
int server_stats_read(const char *where, struct server_totals *ret, char *error)
    __attribute__((warn_unused_result));

/* Reads them again and reconciles. 0, or an exit status after one line on stderr for
 * each server whose counters of the run are lost; the others are reconciled. */
int server_stats_reconcile(const struct plan *plan, struct reconcile_server *servers,
    struct result *result) __attribute__((warn_unused_result));

#endif
