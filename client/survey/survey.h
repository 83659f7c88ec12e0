/*
 * survey.h - asks a path what it does to connections, within a budget.
 *
 * The order: reach (is the far end a witness?) and server_first, while nothing else is
 * open; then the idle ladder begins, which only waits; beside it the other probes, one
 * after another; then, after a pause, the limit probes; then the rest of the ladder. -d
 * binds: a probe that would not end in time is first shortened, then left out, and says
 * so.
 */
#ifndef CLIENT_SURVEY_SURVEY_H
#define CLIENT_SURVEY_SURVEY_H

#include <stdint.h>

#include "client/probes/survey_state.h"

/* Fills the plan's rows of *result, whose plan fields are set. 0; 1 if the path could
 * not be surveyed (result->failure says why); 71 after one line on stderr. */
int survey_run(const struct survey_plan *plan, struct survey_result *result,
    void (*on_progress)(const struct survey *survey, const char *what));

/* How many connections the plan opens at most. */
uint64_t survey_connections(const struct survey_plan *plan);
/* And how many more where a burst finds a limit, to measure the rate. */
uint64_t survey_rate_connections(const struct survey_plan *plan);
/* Writes the probes with their needs and cost to stdout. */
void survey_list(void);

#endif
