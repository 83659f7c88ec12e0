/*
 * live_ledger.h - the counters of the servers (--ledger) during a run: a process of its
 * own reads them once per second, so that a server that hangs delays nothing here.
 */
#ifndef CLIENT_LIVE_LIVE_LEDGER_H
#define CLIENT_LIVE_LIVE_LEDGER_H

#include <stddef.h>

#include "client/result/reconcile.h"

struct live_ledger;

/* Starts the process. `servers` have their counters before the run and outlive it.
 * in_child(context) is called in the new process, to close what it must not hold. NULL
 * with errno. */
struct live_ledger *live_ledger_start(const struct reconcile_server *servers,
    size_t count, void (*in_child)(void *context), void *context)
    __attribute__((warn_unused_result));
void live_ledger_stop(struct live_ledger *ledger);
/* In another process, after fork(2). */
void live_ledger_close_in_child(struct live_ledger *ledger);

/* Puts the counters that were read last into an interim result, without a judgement;
 * nothing before the first reading. */
void live_ledger_add_to(struct live_ledger *ledger, struct result *result);

#endif
