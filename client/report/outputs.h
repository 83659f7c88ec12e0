/*
 * outputs.h - where a result goes: the text report for a person, files for programs.
 *
 * A path "-" is stdout. The text report goes to stdout, to stderr when a file takes
 * stdout, and nowhere when quiet.
 */
#ifndef CLIENT_REPORT_OUTPUTS_H
#define CLIENT_REPORT_OUTPUTS_H

#include <stdbool.h>

#include "client/plan/plan.h"
#include "client/result/result.h"

struct outputs {
	const char *json; /* paths; NULL: none */
	const char *hgrm; /* the response latencies, in ms */
	const char *html;
	const char *hlog; /* written while the run goes on: only looked at here */
	bool quiet;
};

/* The outputs that a plan asks for. */
struct outputs outputs_of(const struct plan *plan);

/* Before a run, so that none is made in vain: 0, or with one line on stderr 64 when
 * more than one is to go to stdout, 71 when one cannot be written. Creates nothing. */
int outputs_check(const struct outputs *outputs) __attribute__((warn_unused_result));

/* Writes all of them, the text report last. 0, or 71 with one line on stderr for each
 * that could not be written. */
int outputs_write(const struct outputs *outputs, const struct result *result);

/* Writes the outputs of a plan. Returns 71 as above, else the exit status of the run.
 */
int outputs_report(const struct plan *plan, const struct result *result);

#endif
