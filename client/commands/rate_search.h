/*
 * rate_search.h - --search 'p99<1ms': the highest rate at which a threshold holds.
 *
 * Each step is a run of its own, as long as --duration. The rate is doubled while the
 * threshold holds, then the gap is halved until it is within 5 %. A step counts only
 * when its measurement is to be trusted and nothing was lost.
 */
#ifndef CLIENT_COMMANDS_RATE_SEARCH_H
#define CLIENT_COMMANDS_RATE_SEARCH_H

#include "client/plan/plan.h"

/* Prints a line for each step and the report of the best. Returns the exit status: that
 * of the best step, 99 when the threshold holds at no rate, 1 when the search was
 * interrupted before it had found one. */
int rate_search_run(const struct plan *plan);

#endif
