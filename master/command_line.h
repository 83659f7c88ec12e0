/*
 * command_line.h - the command line of yodeld.
 */
#ifndef MASTER_COMMAND_LINE_H
#define MASTER_COMMAND_LINE_H

#include "conf/config.h"

enum action { ACTION_RUN, ACTION_CHECK, ACTION_PRINT_CONFIG, ACTION_PRINT_SCHEMA };

struct options {
	enum action action;
	struct config_sources sources;
	const char **set;    /* behind sources.set; heap */
	const char **listen; /* behind sources.listen; heap */
};

/* Reads argv. Bad usage ends the process with EX_USAGE and one line on stderr. */
void command_line_parse(int argc, char **argv, struct options *ret);
void command_line_finish(struct options *options);

#endif
