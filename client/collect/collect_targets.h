/* collect_targets.h - what became of the connections to each target of a run and to
 * each of its addresses: established, failed, the last error. */
#ifndef CLIENT_COLLECT_COLLECT_TARGETS_H
#define CLIENT_COLLECT_COLLECT_TARGETS_H

#include "client/measure/counters.h"
#include "client/plan/plan.h"
#include "client/result/result.h"

/* Fills the targets and addresses of a result. */
void collect_targets(const struct plan *plan, const struct counters_map *counters_map,
    struct result *ret);

#endif
