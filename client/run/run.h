/* run.h - one run, from a plan to its result. */
#ifndef CLIENT_RUN_RUN_H
#define CLIENT_RUN_RUN_H

#include "client/plan/plan.h"
#include "client/result/result.h"
#include "client/run/run_observer.h"

/* Runs a checked plan. 0 (the caller calls result_finish), or an exit status after one
 * line on stderr. *ret_hlog_failed: the file of --hlog is incomplete, which is logged
 * here; the result is complete. `observer` may be NULL. */
int run_plan(const struct plan *plan, const struct run_observer *observer,
    struct result *ret, bool *ret_hlog_failed) __attribute__((warn_unused_result));

#endif
