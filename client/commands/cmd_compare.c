#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "lib/log.h"
#include "lib/options.h"
#include "lib/units.h"
#include "lib/xmalloc.h"
#include "client/commands/commands.h"
#include "client/report/text_layout.h"
#include "client/result/comparison.h"
#include "client/result/result_fields.h"
#include "client/survey_result/survey_compare.h"

#define NAME_WIDTH 18
#define EXIT_UNTRUSTED 3
#define EXIT_WORSE 99

static const char *const side_names[] = { "base", "new" };

/* "?" if it is not known. */
static void
format_figure(const struct comparison_row *row,
    const struct comparison_estimate *figure, char text[UNITS_TEXT_MAX])
{
	if (!figure->known)
		snprintf(text, UNITS_TEXT_MAX, "?");
	else if (row->unit == COMPARISON_DURATION)
		units_show_duration(result_whole(figure->value), text);
	else
		units_show_count(result_whole(figure->value), text);
}

/* One row: name, base, new, difference, change in percent, outcome. */
static void
print_row(const struct comparison_row *row, FILE *out)
{
	char before[UNITS_TEXT_MAX], after[UNITS_TEXT_MAX], text[UNITS_TEXT_MAX];
	char apart[UNITS_TEXT_MAX + 1] = "-", change[UNITS_TEXT_MAX] = "-";
	const struct comparison_estimate *base = &row->base, *new = &row->new;
	struct comparison_estimate off = { .value = fabs(new->value - base->value),
		.known = true };
	format_figure(row, base, before);
	format_figure(row, new, after);
	format_figure(row, &off, text);
	if (base->known && new->known) {
		const char *sign = result_whole(off.value) == 0 ? ""
		    : new->value < base->value                  ? "-"
								: "+";
		snprintf(apart, sizeof(apart), "%s%s", sign, text);
		units_show_change(base->value, new->value, change);
	}
	fprintf(out, "  %-18s", row->name);
	if (strlen(row->name) > NAME_WIDTH)
		fprintf(out, "\n  %18s", "");
	fprintf(out, " %10s %10s %11s %11s  %s\n", before, after, apart, change,
	    comparison_outcome_names[row->outcome]);
}

/* A field of the plan as text, into buffer[64]. */
static const char *
value_of(
    const struct json_record_field *field, const struct result_plan *plan, char *buffer)
{
	const char *text;
	switch (field->kind) {
	case JSON_RECORD_TEXT:
		text = *JSON_RECORD_AT(field, plan, char *const);
		return text != NULL && text[0] != '\0' ? text : "none";
	case JSON_RECORD_REAL:
		snprintf(buffer, 64, "%g", *JSON_RECORD_AT(field, plan, const double));
		return buffer;
	case JSON_RECORD_FLAG:
		return *JSON_RECORD_AT(field, plan, const bool) ? "yes" : "no";
	default:
		snprintf(buffer, 64, "%" PRIu64,
		    *JSON_RECORD_AT(field, plan, const uint64_t));
		return buffer;
	}
}

/* Seeds are not compared: they are meant to differ. */
static void
report_plan_differences(const struct result *base, const struct result *new, FILE *out)
{
	char before[64], after[64];
	for (const struct json_record_field *f = result_plan_fields; f->name != NULL;
	     f++)
		if (f->kind != JSON_RECORD_TEXTS && f->kind != JSON_RECORD_WORD &&
		    !json_record_equals(f, &base->plan, &new->plan))
			fprintf(out, "  plans differ in %s: base %s, new %s\n", f->name,
			    value_of(f, &base->plan, before),
			    value_of(f, &new->plan, after));
}

static void
print_targets(const struct result *run, FILE *out)
{
	for (size_t i = 0; i < run->plan.target_count; i++)
		fprintf(out, "%s%s", i > 0 ? " " : "", run->plan.targets[i]);
}

static bool
same_targets(const struct result *base, const struct result *new)
{
	if (base->plan.target_count != new->plan.target_count)
		return false;
	for (size_t i = 0; i < base->plan.target_count; i++)
		if (strcmp(base->plan.targets[i], new->plan.targets[i]) != 0)
			return false;
	return true;
}

/* "labels differ in host: base a, new b" */
static void
report_label_differences(const struct labels *base, const struct labels *new, FILE *out)
{
	for (size_t i = 0; i < base->count; i++) {
		const struct label *label = &base->items[i];
		const char *other = labels_find(new, label->key);
		if (other == NULL || strcmp(other, label->value) != 0)
			fprintf(out, "  labels differ in %s: base %s, new %s\n",
			    label->key, label->value, other != NULL ? other : "none");
	}
	for (size_t i = 0; i < new->count; i++)
		if (labels_find(base, new->items[i].key) == NULL)
			fprintf(out, "  labels differ in %s: base none, new %s\n",
			    new->items[i].key, new->items[i].value);
}

/* Differences between each run and the first base run. */
static void
report_differences(const struct comparison_side sides[2], FILE *out)
{
	const struct result *first = &sides[0].runs[0];
	for (size_t i = 1; i < sides[0].count; i++)
		report_plan_differences(first, &sides[0].runs[i], out);
	for (size_t i = 0; i < sides[1].count; i++) {
		const struct result *run = &sides[1].runs[i];
		report_plan_differences(first, run, out);
		report_label_differences(&first->labels, &run->labels, out);
		if (same_targets(first, run))
			continue;
		fputs("  targets differ: base ", out);
		print_targets(first, out);
		fputs(", new ", out);
		print_targets(run, out);
		fputc('\n', out);
	}
}

static void
print_trust(const struct comparison_side sides[2], FILE *out)
{
	for (size_t s = 0; s < 2; s++)
		for (size_t i = 0; i < sides[s].count; i++) {
			const struct result *run = &sides[s].runs[i];
			const struct result_trust *trust = &run->trust;
			if (run->is_running)
				fprintf(out,
				    "  %s run %zu is an interim result: its run was going on\n",
				    side_names[s], i + 1);
			if (trust->verdict == RESULT_SUSPECT)
				fprintf(out, "  %s run %zu is suspect: %s\n",
				    side_names[s], i + 1,
				    trust->reason_count > 0 ? trust->reasons[0] : "?");
		}
}

static void
print_unverified(const struct comparison_side sides[2], FILE *out)
{
	for (size_t s = 0; s < 2; s++)
		for (size_t i = 0; i < sides[s].count; i++)
			if (sides[s].runs[i].plan.tls_insecure)
				fprintf(out,
				    "  %s run %zu accepted any certificate (--tls-insecure)\n",
				    side_names[s], i + 1);
}

static void
print_conclusion(bool worse, bool too_short, bool contended, bool too_rare, FILE *out)
{
	if (too_short)
		fputs(
		    "  inconclusive: a run is too short, or its values are too alike, to know the figure; fix: a longer --duration\n",
		    out);
	if (contended)
		fputs(
		    "  the load processes waited for a CPU, which other load on the machine used: single runs of such a machine cannot be compared; fix: several runs of each side\n",
		    out);
	if (worse)
		fputs(
		    "  new is worse than base in the rows marked WORSE, by more than noise (95 % confidence)\n",
		    out);
	else if (too_rare)
		fputs(
		    "  no row is worse by more than noise (95 % confidence), but losses are too rare to compare\n",
		    out);
	else
		fputs("  no row is worse by more than noise (95 % confidence)\n", out);
}

/* The file and targets of each run. */
static void
print_sides(const struct comparison_side sides[2], char **paths, FILE *out)
{
	char start[UNITS_TEXT_MAX];
	for (size_t s = 0; s < 2; s++)
		for (size_t i = 0; i < sides[s].count; i++) {
			const struct result *run = &sides[s].runs[i];
			fprintf(out, "  %-6s%s (%s, to ", i == 0 ? side_names[s] : "",
			    *paths++, units_format_time(run->started_at_ns, 0, start));
			print_targets(run, out);
			fputs(")\n", out);
		}
	fputc('\n', out);
}

/* True when a row is worse by more than noise. `paths`: the files of both sides. */
static bool
compare(const struct comparison_side sides[2], char **paths, FILE *out)
{
	struct comparison_row rows[COMPARISON_ROWS_MAX];
	size_t count = comparison_of(sides, rows);
	bool worse = false, too_short = false, too_rare = false;
	print_sides(sides, paths, out);
	fprintf(out, "  %-18s%11s%11s%12s%12s\n", "", "base", "new", "difference",
	    "change");
	for (size_t i = 0; i < count; i++) {
		print_row(&rows[i], out);
		worse = worse || rows[i].outcome == COMPARISON_WORSE;
		if (rows[i].outcome != COMPARISON_INCONCLUSIVE)
			continue;
		if (rows[i].unit == COMPARISON_EVENTS)
			too_rare = true;
		else if (!rows[i].needs_runs)
			too_short = true;
	}
	fputc('\n', out);
	print_trust(sides, out);
	print_unverified(sides, out);
	report_differences(sides, out);
	bool contended =
	    comparison_is_contended(&sides[0]) || comparison_is_contended(&sides[1]);
	print_conclusion(worse, too_short && !contended, contended, too_rare, out);
	if (!contended && (sides[0].count == 1 || sides[1].count == 1))
		fputs(
		    "  one run does not show how much runs differ; fix: several runs of each side:\n    yodel compare A1 A2 A3 -- B1 B2 B3\n",
		    out);
	return worse;
}

static bool
compare_folded(const struct comparison_side sides[2], char **paths)
{
	struct text_layout_text text;
	text_layout_begin(&text);
	bool worse = compare(sides, paths, text.out);
	text_layout_end(&text, stdout);
	return worse;
}

/* 0, or an exit status after one line on stderr. An invalid run says nothing about its
 * server. */
static int
read_side(struct comparison_side *side, char **paths, size_t count)
{
	side->runs = xcalloc(count, sizeof(side->runs[0]));
	for (size_t i = 0; i < count; i++) {
		struct result *run = &side->runs[side->count];
		int status = result_read_file(paths[i], run);
		if (status != 0)
			return status;
		side->count++;
		if (run->trust.verdict != RESULT_INVALID)
			continue;
		log_errorx("%s: the result is invalid (%s); expected a valid one",
		    paths[i],
		    run->trust.reason_count > 0 ? run->trust.reasons[0] : "?");
		return EXIT_UNTRUSTED;
	}
	return 0;
}

static void
free_side(struct comparison_side *side)
{
	for (size_t i = 0; i < side->count; i++)
		result_finish(&side->runs[i]);
	free(side->runs);
}

/* The operands after "--"; 0 without it. */
static size_t
count_new(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--") == 0)
			return (size_t)(argc - i - 1);
	return 0;
}

int
cmd_compare(int argc, char **argv)
{
	static const struct option_row rows[] = {
		{ "fail-worse", 0, NULL, OPTION_FLAG, 0,
		    .help = "exit 99 if a row is worse by more than noise" },
		{ .name = NULL },
	};
	static const struct options_command command = {
		.name = "yodel compare",
		.version = "yodel " YODEL_VERSION,
		.operands = "BASE NEW | BASE... -- NEW...",
		.operands_min = 2,
		.operands_max = OPTIONS_UNLIMITED,
		.intro =
		    "Compares JSON results and marks the differences that are larger than noise. Several runs of each side show how much runs differ. Of two surveys it prints the rows that differ.",
		.notes =
		    "Exit status: 0 compared, 3 a result is invalid, 64 usage, 65 not a result, 66 unreadable file, 71 system, 99 a row is worse (--fail-worse).",
		.rows = rows,
	};
	struct comparison_side sides[2] = { { NULL, 0 }, { NULL, 0 } };
	bool fail_worse = false, worse = false;
	size_t new_count = count_new(argc, argv), count = 0;
	char **paths = options_parse(&command, argc, argv, &fail_worse);
	while (paths[count] != NULL)
		count++;
	if (count == 2 && new_count <= 1 && survey_compare_is_survey(paths[0])) {
		struct text_layout_text text;
		text_layout_begin(&text);
		int outcome = survey_compare(paths[0], paths[1], text.out, &worse);
		text_layout_end(&text, stdout);
		return outcome != 0 ? outcome : worse && fail_worse ? EXIT_WORSE : 0;
	}
	if (new_count == 0 && count == 2)
		new_count = 1;
	if (new_count == 0 || new_count >= count) {
		log_errorx("found %zu results, expected BASE NEW, or BASE... -- NEW...",
		    count);
		return EX_USAGE;
	}
	int status = read_side(&sides[0], paths, count - new_count);
	if (status == 0)
		status = read_side(&sides[1], paths + count - new_count, new_count);
	if (status == 0)
		worse = compare_folded(sides, paths);
	free_side(&sides[0]);
	free_side(&sides[1]);
	if (status == 0 && fflush(stdout) != 0) {
		log_error("cannot write the comparison");
		return EX_OSERR;
	}
	return status != 0 ? status : worse && fail_worse ? EXIT_WORSE : 0;
}
