/* result_collect.h - makes a result of the counters of the load processes and of the
 * samples that the parent has taken. */
#ifndef CLIENT_COLLECT_RESULT_COLLECT_H
#define CLIENT_COLLECT_RESULT_COLLECT_H

#include "client/measure/counters.h"
#include "client/measure/sampler.h"
#include "client/plan/plan.h"
#include "client/result/result.h"

/* Fills *ret (which it initializes), after or during a run, and evaluates it
 * (client/result/verdict.h). `sampler` may be NULL. */
void result_collect(const struct plan *plan, const struct counters_map *counters_map,
    const struct sampler *sampler, struct result *ret);

#endif
