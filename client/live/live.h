/*
 * live.h - a run while it goes on: --serve and --json-lines.
 *
 *   live_open -> live_set_servers -> run_plan(.., live_observer(), ..) -> live_close
 *
 * About once per second the result so far is collected, while a client reads it. What
 * that and the texts of it cost is bounded to 1 % of one CPU, however large the run, in
 * exchange for the age of the figures (live_budget.h). The process that reads the
 * servers of --ledger comes on top.
 */
#ifndef CLIENT_LIVE_LIVE_H
#define CLIENT_LIVE_LIVE_H

#include "client/plan/plan.h"
#include "client/result/result.h"
#include "client/run/run_observer.h"

struct live;

/* Opens what the plan asks for, and prints the URL of --serve on stderr. 0, *ret NULL
 * if it asks for nothing; or an exit status after one line on stderr. */
int live_open(const struct plan *plan, struct live **ret)
    __attribute__((warn_unused_result));

/* NULL for NULL. The other functions ignore NULL, too. */
const struct run_observer *live_observer(struct live *live);

/* Before the run: its servers (server_stats.h), which must outlive it. */
void live_set_servers(
    struct live *live, const struct reconcile_server *servers, size_t count);
/* Before a step of --search: the steps so far, which must outlive it. */
void live_set_steps(
    struct live *live, const struct result_search_step *steps, size_t count);

/* The reports are written: shows the complete result, gives browsers two seconds to
 * fetch it, and closes. `result` NULL: the run has no result. 0, or 71 after one line
 * on stderr if the file of --json-lines could not be written. */
int live_close(struct live *live, const struct result *result)
    __attribute__((warn_unused_result));

#endif
