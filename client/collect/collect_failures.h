/* collect_failures.h - what went wrong in a run, one by one, as far as the load
 * processes have recorded it: findings, wrong replies, periods without an answer, lost
 * connections; and the losses by cause. */
#ifndef CLIENT_COLLECT_COLLECT_FAILURES_H
#define CLIENT_COLLECT_COLLECT_FAILURES_H

#include "client/measure/counters.h"
#include "client/result/result.h"

/* Appends the records of all load processes to the lists of a result. */
void collect_failures(const struct counters_map *counters_map, struct result *ret);

#endif
