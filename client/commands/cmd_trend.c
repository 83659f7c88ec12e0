#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "lib/log.h"
#include "lib/options.h"
#include "lib/printable.h"
#include "client/commands/commands.h"
#include "client/trend/trend.h"
#include "client/trend/trend_html.h"
#include "client/trend/trend_text.h"

#define EXIT_UNTRUSTED 3
#define EXIT_WORSE 99

struct trend_options {
	const char *html; /* path; "-": stdout; NULL: none */
	struct option_list keys;
	bool fail_worse;
	bool quiet;
};

#define AT(field) offsetof(struct trend_options, field)

static const struct option_row rows[] = {
	{ "by", 0, "KEY", OPTION_LIST, AT(keys),
	    .help = "group the runs by this label (repeatable)" },
	{ "output", 'o', "FILE.html", OPTION_TEXT, AT(html),
	    .help = "write a page with charts to this file" },
	{ "fail-worse", 0, NULL, OPTION_FLAG, AT(fail_worse),
	    .help =
		"exit 99 if the latest run is worse than those before it by more than their noise, 3 if its result is invalid or damaged" },
	{ "quiet", 'q', NULL, OPTION_FLAG, AT(quiet), .help = "no text on stdout" },
	{ .name = NULL },
};

static const struct options_command command = {
	.name = "yodel trend",
	.version = "yodel " YODEL_VERSION,
	.operands = "FOLDER|RESULT...",
	.operands_min = 1,
	.operands_max = OPTIONS_UNLIMITED,
	.intro =
	    "Shows each figure of JSON results over the runs in the order of their start, where its level changed, and whether the latest run is worse. Of a folder it reads all files *.json.",
	.notes =
	    "Exit status: 0 shown, 3 the latest result is invalid (--fail-worse), 64 usage, 65 not a result, 66 unreadable file, 71 system, 99 the latest run is worse (--fail-worse).",
	.rows = rows,
};

/* 0, or 71 after one line on stderr. */
static int
write_page(const char *path, const struct trend_group *groups, size_t count)
{
	FILE *file = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
	if (file != NULL) {
		int status = trend_html(groups, count, file);
		if ((file == stdout ? fflush(file) : fclose(file)) == 0 && status == 0)
			return 0;
	}
	log_error("%s", path);
	return EX_OSERR;
}

/* 0, or 64 after one line on stderr. */
static int
check_keys(const struct trend_options *options, const struct trend_runs *runs)
{
	char shown[LABELS_KEY_MAX];
	for (size_t i = 0; i < options->keys.count; i++) {
		if (trend_has_label(runs, options->keys.items[i]))
			continue;
		printable_escape(options->keys.items[i], shown, sizeof(shown));
		log_errorx("--by: no result has the label \"%s\"", shown);
		return EX_USAGE;
	}
	return 0;
}

/* The exit status of --fail-worse. */
static int
judge(const struct trend_options *options, const struct trend_runs *runs, bool worse)
{
	const struct trend_run *run =
	    trend_find_unjudged(runs, options->keys.items, options->keys.count);
	if (worse)
		return EXIT_WORSE;
	if (run == NULL)
		return 0;
	log_errorx(
	    "%s: cannot judge the latest run: its result was left out", run->path);
	return EXIT_UNTRUSTED;
}

static int
report(const struct trend_options *options, const struct trend_runs *runs)
{
	size_t count;
	bool worse = false;
	int status = 0;
	struct trend_group *groups =
	    trend_groups_create(runs, options->keys.items, options->keys.count, &count);
	for (size_t i = 0; i < count; i++) {
		worse = worse || trend_is_worse(&groups[i]);
		if (options->quiet)
			continue;
		if (i > 0)
			putchar('\n');
		trend_text(&groups[i], stdout);
	}
	if (options->html != NULL)
		status = write_page(options->html, groups, count);
	trend_groups_destroy(groups, count);
	if (status == 0 && options->fail_worse)
		status = judge(options, runs, worse);
	return status;
}

int
cmd_trend(int argc, char **argv)
{
	struct trend_options options = { .html = NULL };
	struct trend_runs runs;
	char **paths = options_parse(&command, argc, argv, &options);
	options.quiet |= options.html != NULL && strcmp(options.html, "-") == 0;
	int status = trend_read(paths, &runs);
	if (status == 0 && runs.count == 0) {
		log_errorx("found no valid result, expected at least one");
		status = EX_DATAERR;
	}
	if (status == 0)
		status = check_keys(&options, &runs);
	if (status == 0)
		status = report(&options, &runs);
	trend_runs_finish(&runs);
	free(options.keys.items);
	return status;
}
