#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "lib/log.h"
#include "lib/options.h"
#include "lib/xmalloc.h"
#include "client/commands/commands.h"
#include "client/report/outputs.h"
#include "client/result/result.h"
#include "client/result/verdict.h"

struct merge {
	struct outputs outputs;
	bool strict;
	struct option_list thresholds; /* added to those of the results */
};

#define AT(field) offsetof(struct merge, field)

static const struct option_row rows[] = {
	{ "output", 'o', "FILE", OPTION_TEXT, AT(outputs.json),
	    .help = "write the merged result as JSON (- is stdout)" },
	{ "hgrm", 0, "FILE", OPTION_TEXT, AT(outputs.hgrm),
	    .help = "write percentiles of the merged response latency" },
	{ "html", 0, "FILE", OPTION_TEXT, AT(outputs.html),
	    .help = "write the merged result as a page" },
	{ "threshold", 0, "EXPR", OPTION_LIST, AT(thresholds),
	    .help = "judge the merged result, as in p99<5ms; may be repeated" },
	{ "strict", 0, NULL, OPTION_FLAG, AT(strict),
	    .help = "exit 3 if the measurement is suspect or invalid" },
	{ "quiet", 'q', NULL, OPTION_FLAG, AT(outputs.quiet),
	    .help = "no text report" },
	{ .name = NULL },
};

/* 0, or an exit status. */
static int
parse_thresholds(const struct option_list *texts, struct threshold_outcome *ret)
{
	char error[RESULT_ERROR_MAX];
	for (size_t i = 0; i < texts->count; i++) {
		if (threshold_parse(
			texts->items[i], &ret[i].threshold, error, sizeof(error)) < 0) {
			log_errorx("--threshold %s", error);
			return EX_USAGE;
		}
	}
	return 0;
}

/* The result's own thresholds are judged first. */
static void
add_thresholds(const struct merge *merge, const struct threshold_outcome *thresholds,
    struct result *result)
{
	result->thresholds = xreallocarray(result->thresholds,
	    result->threshold_count + merge->thresholds.count, sizeof(*thresholds));
	for (size_t i = 0; i < merge->thresholds.count; i++)
		result->thresholds[result->threshold_count++] = thresholds[i];
	result->plan.strict = result->plan.strict || merge->strict;
	verdict_evaluate(result);
}

/* All files into *ret: 0, or an exit status with one line on stderr. */
static int
merge_all(char *const *paths, struct result *ret)
{
	char error[RESULT_ERROR_MAX];
	int status = result_read_file(paths[0], ret);
	if (status != 0)
		return status;
	result_merge_start(ret);
	for (int i = 1; status == 0 && paths[i] != NULL; i++) {
		struct result next;
		status = result_read_file(paths[i], &next);
		if (status != 0)
			break;
		/* A rank that occurs twice is an error in any case. */
		if (ret->plan.ranks <= 1 && result_merge_contains(ret, &next)) {
			log_warnx(
			    "%s: its run was already added and counts once", paths[i]);
		} else if (result_merge(ret, &next, error) < 0) {
			log_errorx("%s: %s", paths[i], error);
			status = EX_DATAERR;
		}
		result_finish(&next);
	}
	if (status != 0)
		result_finish(ret);
	return status;
}

int
cmd_merge(int argc, char **argv)
{
	static const struct options_command command = {
		.name = "yodel merge",
		.version = "yodel " YODEL_VERSION,
		.operands = "RESULT...",
		.operands_min = 1,
		.operands_max = OPTIONS_UNLIMITED,
		.intro =
		    "Adds up the JSON results of several machines, count by count. Thresholds are judged on the merged histograms; the percentiles of each rank are shown beside them.",
		.notes =
		    "Exit status: as of yodel for the merged result, 65 not a result, 66 unreadable file, 71 system.",
		.rows = rows,
	};
	struct merge merge = { 0 };
	struct result result;
	char **paths = options_parse(&command, argc, argv, &merge);
	struct threshold_outcome *thresholds =
	    xcalloc(merge.thresholds.count + 1, sizeof(*thresholds));
	int status = outputs_check(&merge.outputs);
	if (status == 0)
		status = parse_thresholds(&merge.thresholds, thresholds);
	if (status == 0)
		status = merge_all(paths, &result);
	if (status != 0)
		goto out;
	add_thresholds(&merge, thresholds, &result);
	status = outputs_write(&merge.outputs, &result) != 0
	    ? EX_OSERR
	    : outputs_judge(&merge.outputs, &result);
	result_finish(&result);
out:
	free(thresholds);
	free(merge.thresholds.items);
	return status;
}
