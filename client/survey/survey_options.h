/* survey_options.h - the command line of `yodel survey`. */
#ifndef CLIENT_SURVEY_SURVEY_OPTIONS_H
#define CLIENT_SURVEY_SURVEY_OPTIONS_H

#include "client/probes/survey_plan.h"
#include "client/survey_result/survey_threshold.h"

/* Fills the plan; resolves the targets unless the plan only lists. 0, or 64 after one
 * line on stderr; ends the process on bad usage (lib/options.h). */
int survey_options_parse(int argc, char **argv, struct survey_plan *plan);
/* Frees the lists of the options, also after a failure. */
void survey_options_finish(struct survey_plan *plan);

/* The thresholds, on the heap; 0, or 64 after one line on stderr. */
int survey_options_thresholds(
    const struct survey_plan *plan, struct survey_threshold **ret);

#endif
