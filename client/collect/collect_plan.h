/* collect_plan.h - the part "plan" of a result: what the command line asked for, and
 * the socket options that the kernel granted. */
#ifndef CLIENT_COLLECT_COLLECT_PLAN_H
#define CLIENT_COLLECT_COLLECT_PLAN_H

#include "client/measure/counters.h"
#include "client/plan/plan.h"
#include "client/result/result.h"

void collect_plan(const struct plan *plan, const struct counters_map *counters_map,
    struct result_plan *ret);

#endif
