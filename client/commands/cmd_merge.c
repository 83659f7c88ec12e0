#include "client/commands/cmd_merge.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "lib/log.h"
#include "lib/option_error.h"

#include "client/report/outputs.h"
#include "client/result/result.h"
#include "client/result/result_file.h"

enum { OPTION_HGRM = 256, OPTION_HTML, OPTION_STRICT, OPTION_THRESHOLD };

static const char usage[] =
    "Usage: yodel merge [OPTION...] RESULT...\n"
    "Adds the JSON results of several machines, count by count. Thresholds are\n"
    "judged on the merged histogram; each rank's own percentiles stand beside it.\n"
    "\n"
    "  -o, --output=FILE          the merged result, as JSON (- is stdout)\n"
    "      --hgrm=FILE            the merged response latencies, as percentiles\n"
    "      --html=FILE            the merged result, as a page\n"
    "      --threshold=EXPR       must hold of the whole, as p99<5ms; may be repeated\n"
    "      --strict               exit 3 when the measurement is not to be trusted\n"
    "  -q, --quiet                no text report\n"
    "  -h, --help                 print this and exit\n";

struct merge {
	struct outputs outputs;
	bool strict;
	struct threshold_outcome *thresholds; /* beside those of the results */
	size_t threshold_count;
};

static int
add_threshold(struct merge *merge, const char *text)
{
	struct threshold_outcome *more =
	    reallocarray(merge->thresholds, merge->threshold_count + 1, sizeof(*more));
	char error[RESULT_ERROR_MAX];

	if (more == NULL)
		return EX_OSERR;
	merge->thresholds = more;
	if (threshold_parse(text, &more[merge->threshold_count].threshold, error,
		sizeof(error)) < 0) {
		log_errorx("%s", error);
		return EX_USAGE;
	}
	merge->threshold_count++;
	return 0;
}

/* -1 to go on, else an exit status. */
static int
parse(struct merge *merge, int argc, char **argv)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "hgrm", required_argument, NULL, OPTION_HGRM },
		{ "html", required_argument, NULL, OPTION_HTML },
		{ "threshold", required_argument, NULL, OPTION_THRESHOLD },
		{ "strict", no_argument, NULL, OPTION_STRICT },
		{ "quiet", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option, status = 0;

	optind = 0; /* the caller has parsed, too */
	while ((option = getopt_long(argc, argv, ":o:qh", options, NULL)) != -1) {
		switch (option) {
		case 'o':
			merge->outputs.json = optarg;
			break;
		case OPTION_HGRM:
			merge->outputs.hgrm = optarg;
			break;
		case OPTION_HTML:
			merge->outputs.html = optarg;
			break;
		case OPTION_THRESHOLD:
			if ((status = add_threshold(merge, optarg)) != 0)
				return status;
			break;
		case OPTION_STRICT:
			merge->strict = true;
			break;
		case 'q':
			merge->outputs.quiet = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			option_error_log(option, argv, options);
			return EX_USAGE;
		}
	}
	if (optind < argc) {
		status = outputs_check(&merge->outputs);
		return status == 0 ? -1 : status;
	}
	log_errorx("one RESULT or more was wanted (see --help)");
	return EX_USAGE;
}

/* Those of the command line are judged after those of the first result. */
static int
take_thresholds(const struct merge *merge, struct result *result)
{
	struct threshold_outcome *all = reallocarray(result->thresholds,
	    result->threshold_count + merge->threshold_count + 1, sizeof(*all));

	if (all == NULL)
		return -1;
	result->thresholds = all;
	for (size_t i = 0; i < merge->threshold_count; i++)
		all[result->threshold_count++] = merge->thresholds[i];
	result->plan.strict = result->plan.strict || merge->strict;
	return result_evaluate(result);
}

/* All files into *ret: 0, or an exit status with one line on stderr. */
static int
merge_all(char *const *paths, struct result *ret)
{
	char error[RESULT_ERROR_MAX];
	int status = result_file_load(paths[0], ret);

	if (status != 0)
		return status;
	if (result_merge_start(ret) != 0)
		status = EX_OSERR;
	for (int i = 1; status == 0 && paths[i] != NULL; i++) {
		struct result next;

		status = result_file_load(paths[i], &next);
		if (status != 0)
			break;
		if (result_merge(ret, &next, error) < 0) {
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
	struct merge merge = { 0 };
	struct result result;
	int status = parse(&merge, argc, argv);

	if (status >= 0)
		goto out;
	status = merge_all(argv + optind, &result);
	if (status != 0)
		goto out;
	if (take_thresholds(&merge, &result) < 0 ||
	    outputs_write(&merge.outputs, &result) != 0)
		status = EX_OSERR;
	else
		status = result_exit_status(&result);
	result_finish(&result);
out:
	free(merge.thresholds);
	return status;
}
