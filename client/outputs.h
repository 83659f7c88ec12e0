/*
 * outputs.h - where a result goes: the text report for a person, files for programs.
 *
 * A path "-" is stdout. The text report goes to stdout, to stderr when a file takes
 * stdout, and nowhere when quiet.
 */
#ifndef CLIENT_OUTPUTS_H
#define CLIENT_OUTPUTS_H

#include <stdbool.h>

#include "client/result.h"

struct outputs {
	const char *json; /* paths; NULL: none */
	const char *hgrm; /* the response latencies, in ms */
	const char *html;
	bool quiet;
	bool stdout_taken; /* by something else: the transcript's or the .hlog's "-" */
};

/* Writes all of them, the text report last. 0, or 71 with one line on stderr for each
 * that could not be written. */
int outputs_write(const struct outputs *outputs, const struct result *result);

#endif
