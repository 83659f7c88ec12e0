/*
 * ctl_options.h - the command line of yodelctl.
 */
#ifndef CTL_CTL_OPTIONS_H
#define CTL_CTL_OPTIONS_H

#include <stdbool.h>

struct ctl_options {
	const char *socket;
	bool is_json;
	const char *command;
	const char *argument; /* NULL: none was given */
	unsigned frames;      /* of top; 0: until it is ended */
	double interval_s;    /* between them */
	bool no_wait;         /* for those whom a change sends away */
	double timeout_s;     /* for the outcome of a change */
};

/* How long to wait for what is answered at once. */
double ctl_options_query_timeout_s(const struct ctl_options *options);

/* Ends the process with 64 when the line is not understood. */
void ctl_options_parse(int argc, char **argv, struct ctl_options *ret);

#endif
