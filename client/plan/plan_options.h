/* plan_options.h - the command line of `yodel run`: one table of flags. */
#ifndef CLIENT_PLAN_PLAN_OPTIONS_H
#define CLIENT_PLAN_PLAN_OPTIONS_H

#include "client/plan/plan.h"

/* Fills a plan (after plan_init) from argv, argv[0] being the name to speak with.
 * Prints and exits for --help, --version and what is no command line (64). */
void plan_options_parse(int argc, char **argv, struct plan *plan);

#endif
