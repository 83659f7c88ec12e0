/*
 * run.h - one run, from a plan to what it found. `yodel run` is one trial and its
 * report; `yodel calibrate` and --search make several.
 */
#ifndef CLIENT_RUN_RUN_H
#define CLIENT_RUN_RUN_H

#include "client/plan/plan.h"
#include "client/result/result.h"

/* Runs a checked plan. 0 (the caller calls result_finish), or an exit status after one
 * line on stderr. */
int run_plan(const struct plan *plan, struct result *ret)
    __attribute__((warn_unused_result));

/* Reports a result as the plan asks. Returns the exit status of the run. */
int run_report(const struct plan *plan, const struct result *result);

/* `yodel run`: argv[0] is the name to speak with. Returns the exit status. */
int run_main(int argc, char **argv);

#endif
