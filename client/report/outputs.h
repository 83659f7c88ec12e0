/*
 * outputs.h - writes a result to the outputs that were asked for.
 *
 * The path "-" is stdout. The text report goes to stdout, or to stderr if another
 * output uses stdout.
 */
#ifndef CLIENT_REPORT_OUTPUTS_H
#define CLIENT_REPORT_OUTPUTS_H

#include <stdbool.h>

#include "client/plan/plan.h"
#include "client/result/result.h"

struct outputs {
	const char *json; /* paths; NULL: none */
	const char *hgrm; /* response latencies in ms */
	const char *html;
	const char *hlog;       /* only checked here: written during the run */
	const char *json_lines; /* likewise */
	bool quiet;             /* no text report */
};

/* The outputs that a plan asks for. */
struct outputs outputs_of(const struct plan *plan);

/* Called before a run, so that none is wasted. 0, or with one line on stderr: 64 if
 * more than one output is stdout, 71 if one cannot be written. Creates no file. */
int outputs_check(const struct outputs *outputs) __attribute__((warn_unused_result));

/* Writes all outputs, the text report last. 0, or 71 with one line on stderr for each
 * that could not be written. */
int outputs_write(const struct outputs *outputs, const struct result *result);

/* The exit status of a run with this result. Without a text report a failure is one
 * line on stderr. */
int outputs_judge(const struct outputs *outputs, const struct result *result);

/* Writes the outputs of a plan. Returns 71 as above, else the exit status of the run.
 */
int outputs_report(const struct plan *plan, const struct result *result);

#endif
