/*
 * rate_search.h - --search 'p99<1ms': the highest rate at which a threshold passes.
 *
 * Each step is a run of --duration. The rate doubles while the threshold passes, then
 * the interval between the last good and the first bad rate is bisected to 5 %. A step
 * passes only if the measurement is not invalid and nothing was lost.
 */
#ifndef CLIENT_COMMANDS_RATE_SEARCH_H
#define CLIENT_COMMANDS_RATE_SEARCH_H

#include "client/plan/plan.h"

/* Prints one line for each step, then the report of the best one. Returns the exit
 * status of the best step, or the one of a search that found no rate
 * (client/result/verdict.h). */
int rate_search_run(const struct plan *plan);

#endif
