/*
 * command_line.h - the command line of yodeld.
 */
#ifndef MASTER_COMMAND_LINE_H
#define MASTER_COMMAND_LINE_H

#include "lib/options.h"

#include "conf/config.h"

enum action { ACTION_RUN, ACTION_CHECK, ACTION_PRINT_CONFIG, ACTION_PRINT_SCHEMA };

struct options {
	enum action action;
	struct config_sources sources;
	struct option_list set;    /* sources.set points into it */
	struct option_list listen; /* sources.listen points into it */
};

/* Ends the process for --help and --version (0) and bad usage (64). */
void command_line_parse(int argc, char **argv, struct options *ret);
void command_line_finish(struct options *options);

#endif
