/* ctl_options.h - the command line of yodelctl. */
#ifndef CTL_CTL_OPTIONS_H
#define CTL_CTL_OPTIONS_H

#include <stdbool.h>

struct ctl_options {
	const char *socket;
	bool is_json;
	const char *command;
	const char *argument; /* NULL: none was given */
	char **arguments;     /* all operands after the command, NULL at the end */
	unsigned frames;      /* top: number of views; 0: until it is quit */
	double interval_s;    /* top: between two views */
	bool no_wait;         /* do not wait for old workers to exit */
	double timeout_s;     /* for the outcome of a change */
	bool is_forced;       /* scale although connections are closed */
};

/* How long to wait for a reply that needs no change. */
double ctl_options_query_timeout_s(const struct ctl_options *options);

/* `notes` stand below the options in the help text. Exits with 64 after one line on
 * stderr on a usage error. */
void ctl_options_parse(
    int argc, char **argv, const char *notes, struct ctl_options *ret);

#endif
