/*
 * options.h - the command line of yodeld.
 */
#ifndef MASTER_OPTIONS_H
#define MASTER_OPTIONS_H

#include "conf/config.h"

enum action { ACTION_RUN, ACTION_CHECK, ACTION_PRINT_CONFIG, ACTION_PRINT_SCHEMA };

struct options {
	enum action action;
	struct config_sources sources;
	const char **set;    /* behind sources.set; heap */
	const char **listen; /* behind sources.listen; heap */
};

/* Reads argv. Bad usage ends the process with EX_USAGE and one line on stderr. */
void options_parse(int argc, char **argv, struct options *ret);
void options_finish(struct options *options);

#endif
