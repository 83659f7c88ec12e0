/* flags.h - the command line of `yodel run`: one table of flags. */
#ifndef CLIENT_FLAGS_H
#define CLIENT_FLAGS_H

#include "client/plan.h"

/* Fills a plan (after plan_init) from argv, argv[0] being the name to speak with.
 * Prints and exits for --help, --version and what is no command line (64). */
void flags_parse(int argc, char **argv, struct plan *plan);

#endif
