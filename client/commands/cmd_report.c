#include "client/commands/cmd_report.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <sysexits.h>

#include "lib/log.h"
#include "lib/option_error.h"

#include "client/report/outputs.h"
#include "client/result/result.h"
#include "client/result/result_file.h"

static const char usage[] =
    "Usage: yodel report [OPTION...] RESULT\n"
    "Makes one self-contained HTML page of a JSON result.\n"
    "\n"
    "  -o, --output=FILE.html     where the page goes (stdout)\n"
    "      --hgrm=FILE            the response latencies as percentiles instead\n"
    "  -t, --text                 the text report instead\n"
    "  -h, --help                 print this and exit\n";

/* -1 to go on, else an exit status. */
static int
parse(struct outputs *outputs, int argc, char **argv)
{
	enum { OPTION_HGRM = 256 };
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "hgrm", required_argument, NULL, OPTION_HGRM },
		{ "text", no_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	optind = 0; /* the caller has parsed, too */
	while ((option = getopt_long(argc, argv, ":o:th", options, NULL)) != -1) {
		switch (option) {
		case 'o':
			outputs->html = optarg;
			break;
		case OPTION_HGRM:
			outputs->hgrm = optarg;
			break;
		case 't':
			outputs->quiet = false;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			option_error_log(option, argv, options);
			return EX_USAGE;
		}
	}
	if (optind + 1 != argc) {
		log_errorx("one RESULT was wanted (see --help)");
		return EX_USAGE;
	}
	if (outputs->html == NULL && outputs->hgrm == NULL && outputs->quiet)
		outputs->html = "-";
	int status = outputs_check(outputs);
	return status == 0 ? -1 : status;
}

int
cmd_report(int argc, char **argv)
{
	struct outputs outputs = { .quiet = true };
	struct result result;
	int status = parse(&outputs, argc, argv);

	if (status >= 0)
		return status;
	status = result_file_load(argv[optind], &result);
	if (status != 0)
		return status;
	status = outputs_write(&outputs, &result);
	result_finish(&result);
	return status;
}
