/*
 * server_stats.h - the ledgers of the servers that a run calls (--ledger), read before
 * and after it. Behind a load balancer there are several, and their sum is held against
 * ours.
 */
#ifndef CLIENT_RUN_SERVER_STATS_H
#define CLIENT_RUN_SERVER_STATS_H

#include "client/plan/plan.h"
#include "client/result/reconcile.h"

/* Reads them before the run. 0, with one entry for each ledger of the plan in *ret,
 * heap (NULL: there is none); or an exit status, said on stderr. */
int server_stats_open(const struct plan *plan, struct reconcile_server **ret)
    __attribute__((warn_unused_result));

/* Reads them again, and reconciles. 0, or an exit status, said on stderr. */
int server_stats_reconcile(const struct plan *plan, struct reconcile_server *servers,
    struct result *result) __attribute__((warn_unused_result));

#endif
