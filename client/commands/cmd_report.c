#include <stdbool.h>
#include <stdio.h>
#include <sysexits.h>

#include "lib/options.h"
#include "client/commands/commands.h"
#include "client/report/outputs.h"
#include "client/result/result.h"

struct report {
	struct outputs outputs;
	bool is_text;
};

#define AT(field) offsetof(struct report, field)

static const struct option_row rows[] = {
	{ "output", 'o', "FILE.html", OPTION_TEXT, AT(outputs.html),
	    .help = "write the page to this file (stdout)" },
	{ "hgrm", 0, "FILE", OPTION_TEXT, AT(outputs.hgrm),
	    .help = "write percentiles of the response latency instead" },
	{ "text", 't', NULL, OPTION_FLAG, AT(is_text),
	    .help = "print the text report instead" },
	{ .name = NULL },
};

int
cmd_report(int argc, char **argv)
{
	static const struct options_command command = {
		.name = "yodel report",
		.version = "yodel " YODEL_VERSION,
		.operands = "RESULT",
		.operands_min = 1,
		.operands_max = 1,
		.intro = "Makes one self-contained HTML page of a JSON result.",
		.notes =
		    "Exit status: 0 written, 64 usage, 65 not a result, 66 unreadable file, 71 system.",
		.rows = rows,
	};
	struct report report = { .is_text = false };
	struct result result;
	char **paths = options_parse(&command, argc, argv, &report);
	report.outputs.quiet = !report.is_text;
	if (report.outputs.html == NULL && report.outputs.hgrm == NULL &&
	    !report.is_text)
		report.outputs.html = "-";
	int status = outputs_check(&report.outputs);
	if (status == 0)
		status = result_read_file(paths[0], &result);
	if (status != 0)
		return status;
	status = outputs_write(&report.outputs, &result);
	result_finish(&result);
	return status;
}
