#include "client/trend/trend_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/stats/change_points.h"
#include "lib/xmalloc.h"
#include "client/report/text_layout.h"
#include "client/result/result_fields.h"

#define NAME_WIDTH 17
#define LABEL_VALUES_SHOWN 4
#define TIME_DIGITS 16 /* of "2026-11-29T02:00" */

const char *
trend_text_value(const struct trend_figure *figure, double value, char *text)
{
	return figure->unit == COMPARISON_DURATION
	    ? units_show_duration(result_whole(value), text)
	    : units_show_count(result_whole(value), text);
}

const char *
trend_text_level(const struct trend_figure *figure, char *text)
{
	size_t first = figure->reference_first, end = figure->reference_end;
	return first < end
	    ? trend_text_value(figure, trend_level(figure, first, end), text)
	    : strcpy(text, "-");
}

const char *
trend_text_latest(const struct trend_figure *figure, char *text)
{
	return figure->latest == TREND_MISSING
	    ? strcpy(text, "-")
	    : trend_text_value(
		  figure, figure->points[figure->point_count - 1].value, text);
}

static const char *
interval_end(const struct trend_figure *figure, double value, char *text)
{
	const struct trend_point *latest = &figure->points[figure->point_count - 1];
	return figure->latest == TREND_MISSING || !latest->has_interval
	    ? strcpy(text, "-")
	    : trend_text_value(figure, value, text);
}

const char *
trend_text_low(const struct trend_figure *figure, char *text)
{
	return interval_end(figure, figure->points[figure->point_count - 1].low, text);
}

const char *
trend_text_high(const struct trend_figure *figure, char *text)
{
	return interval_end(figure, figure->points[figure->point_count - 1].high, text);
}

const char *
trend_text_difference(const struct trend_figure *figure, char *text)
{
	size_t first = figure->reference_first, end = figure->reference_end;
	if (first >= end || figure->latest == TREND_MISSING)
		return strcpy(text, "-");
	return units_show_change(trend_level(figure, first, end),
	    figure->points[figure->point_count - 1].value, text);
}

/* In UTC, to the minute. */
static const char *
show_time(uint64_t ns, char *text)
{
	units_format_time(ns, 0, text);
	text[10] = ' ';
	text[TIME_DIGITS] = '\0';
	return text;
}

const char *
trend_text_change(const struct trend_group *group, const struct trend_figure *figure,
    size_t change, char line[TREND_LINE_MAX])
{
	char before[UNITS_TEXT_MAX], after[UNITS_TEXT_MAX], percent[UNITS_TEXT_MAX];
	char time[UNITS_TEXT_MAX];
	size_t first = change > 0 ? figure->changes[change - 1] : 0;
	size_t place = figure->changes[change];
	size_t end = change + 1 < figure->change_count ? figure->changes[change + 1]
						       : figure->point_count;
	double old = trend_level(figure, first, place);
	double new = trend_level(figure, place, end);
	size_t run = figure->points[place].run;
	snprintf(line, TREND_LINE_MAX, "%s -> %s (%s) from run %zu, %s (%s)",
	    trend_text_value(figure, old, before), trend_text_value(figure, new, after),
	    units_show_change(old, new, percent), run + 1,
	    show_time(group->runs[run]->started_at_ns, time), group->runs[run]->path);
	return line;
}

const char *
trend_text_range(const struct trend_group *group, char line[TREND_LINE_MAX])
{
	char first[UNITS_TEXT_MAX], last[UNITS_TEXT_MAX];
	const struct trend_run *const *runs = group->runs;
	snprintf(line, TREND_LINE_MAX, "%zu run%s, %s to %s (UTC)", group->run_count,
	    group->run_count == 1 ? "" : "s", show_time(runs[0]->started_at_ns, first),
	    show_time(runs[group->run_count - 1]->started_at_ns, last));
	if (group->left_out > 0) {
		size_t length = strlen(line);
		snprintf(line + length, TREND_LINE_MAX - length,
		    "; %zu earlier ones are left out", group->left_out);
	}
	return line;
}

/* The runs of the group whose plan has this value. */
static size_t
count_with(const struct trend_group *group, const char *name, const json_t *value)
{
	size_t count = 0;
	for (size_t i = 0; i < group->run_count; i++)
		count += (size_t)json_equal(
		    json_object_get(group->runs[i]->plan, name), value);
	return count;
}

/* True if no earlier run of the group has the value of this one. */
static bool
is_first_with(const struct trend_group *group, const char *name, size_t run)
{
	const json_t *value = json_object_get(group->runs[run]->plan, name);
	for (size_t i = 0; i < run; i++)
		if (json_equal(json_object_get(group->runs[i]->plan, name), value))
			return false;
	return true;
}

static void
describe_plan(
    const struct trend_group *group, const char *name, char line[TREND_LINE_MAX])
{
	size_t length = (size_t)snprintf(line, TREND_LINE_MAX, "%s:", name);
	const char *separator = " ";
	for (size_t i = 0; i < group->run_count && length < TREND_LINE_MAX; i++) {
		const json_t *value = json_object_get(group->runs[i]->plan, name);
		if (!is_first_with(group, name, i))
			continue;
		char *text = xmalloc_check(json_dumps(value, JSON_ENCODE_ANY));
		size_t count = count_with(group, name, value);
		length += (size_t)snprintf(line + length, TREND_LINE_MAX - length,
		    "%s%s (%zu run%s)", separator, text, count, count == 1 ? "" : "s");
		free(text);
		separator = ", ";
	}
}

/* "arch: x86 (12 runs), arm (3 runs)"; of more values the first ones. False if all runs
 * have the same value. */
static bool
describe_label(
    const struct trend_group *group, const char *key, char line[TREND_LINE_MAX])
{
	const char *values[LABEL_VALUES_SHOWN];
	size_t counts[LABEL_VALUES_SHOWN], count = 0;
	bool has_more = false;
	for (size_t run = 0; run < group->run_count; run++) {
		const char *value = labels_find(&group->runs[run]->labels, key);
		size_t i = 0;
		value = value != NULL ? value : "none";
		while (i < count && strcmp(values[i], value) != 0)
			i++;
		if (i < count) {
			counts[i]++;
		} else if (count < LABEL_VALUES_SHOWN) {
			values[count] = value;
			counts[count++] = 1;
		} else {
			has_more = true;
		}
	}
	size_t length = (size_t)snprintf(line, TREND_LINE_MAX, "%s:", key);
	for (size_t i = 0; i < count && length < TREND_LINE_MAX; i++)
		length += (size_t)snprintf(line + length, TREND_LINE_MAX - length,
		    "%s %.64s (%zu run%s)", i > 0 ? "," : "", values[i], counts[i],
		    counts[i] == 1 ? "" : "s");
	if (has_more && length < TREND_LINE_MAX)
		snprintf(line + length, TREND_LINE_MAX - length, " and others");
	return count > 1;
}

/* True if no earlier run of the group has the label. */
static bool
is_new_key(const struct trend_group *group, const char *key, size_t run)
{
	for (size_t i = 0; i < run; i++)
		if (labels_find(&group->runs[i]->labels, key) != NULL)
			return false;
	return true;
}

bool
trend_text_label(const struct trend_group *group, size_t n, char line[TREND_LINE_MAX])
{
	for (size_t run = 0; run < group->run_count; run++) {
		const struct labels *labels = &group->runs[run]->labels;
		for (size_t i = 0; i < labels->count; i++)
			if (is_new_key(group, labels->items[i].key, run) &&
			    describe_label(group, labels->items[i].key, line) &&
			    n-- == 0)
				return true;
	}
	return false;
}

/* Seeds are meant to differ. */
bool
trend_text_plan(const struct trend_group *group, size_t n, char line[TREND_LINE_MAX])
{
	for (const struct json_record_field *f = result_plan_fields; f->name != NULL;
	     f++) {
		const json_t *first = json_object_get(group->runs[0]->plan, f->name);
		if (f->kind == JSON_RECORD_WORD ||
		    count_with(group, f->name, first) == group->run_count)
			continue;
		if (n-- > 0)
			continue;
		describe_plan(group, f->name, line);
		return true;
	}
	return false;
}

static void
print_figure(const struct trend_figure *figure, FILE *file)
{
	char level[UNITS_TEXT_MAX], latest[UNITS_TEXT_MAX], percent[UNITS_TEXT_MAX];
	char low[UNITS_TEXT_MAX], high[UNITS_TEXT_MAX];
	fprintf(file, "  %-17s", figure->name);
	if (strlen(figure->name) > NAME_WIDTH)
		fprintf(file, "\n  %17s", "");
	fprintf(file, " %9s %9s %9s %9s %10s %s\n", trend_text_level(figure, level),
	    trend_text_latest(figure, latest), trend_text_low(figure, low),
	    trend_text_high(figure, high), trend_text_difference(figure, percent),
	    trend_outcome_names[figure->latest]);
}

static void
print_changes(const struct trend_group *group, FILE *file)
{
	char line[TREND_LINE_MAX];
	size_t count = 0;
	for (size_t i = 0; i < group->figure_count; i++)
		for (size_t c = 0; c < group->figures[i].change_count; c++) {
			if (count++ == 0)
				fputs("\nchanges:\n", file);
			fprintf(file, "  %s: %s\n", group->figures[i].name,
			    trend_text_change(group, &group->figures[i], c, line));
		}
	if (group->run_count < CHANGE_POINTS_SERIES_MIN)
		fprintf(file, "\nchanges are looked for from %d runs on\n",
		    CHANGE_POINTS_SERIES_MIN);
	else if (count == 0)
		fputs("\nno change\n", file);
	if (group->run_count >= CHANGE_POINTS_SERIES_MIN)
		fprintf(file,
		    "  (at most 1 in %d unchanged figures shows a change by chance)\n",
		    CHANGE_POINTS_FALSE_ALARMS);
}

static void
print_group(const struct trend_group *group, FILE *file)
{
	char line[TREND_LINE_MAX];
	fprintf(file, "%s%s%s\n\n", group->name, group->name[0] != '\0' ? ": " : "",
	    trend_text_range(group, line));
	fprintf(file, "  %-17s %9s %9s %9s %9s %10s %s\n", "", "level", "latest",
	    "95 % from", "to", "difference", "outcome");
	for (size_t i = 0; i < group->figure_count; i++)
		print_figure(&group->figures[i], file);
	print_changes(group, file);
	for (size_t n = 0; trend_text_plan(group, n, line); n++)
		fprintf(file, "%s  %s\n", n == 0 ? "\nplans differ:\n" : "", line);
	for (size_t n = 0; trend_text_label(group, n, line); n++)
		fprintf(file, "%s  %s\n",
		    n == 0 ? "\nlabels differ (--by KEY makes groups of runs):\n" : "",
		    line);
}

void
trend_text(const struct trend_group *group, FILE *file)
{
	struct text_layout_text text;
	text_layout_begin(&text);
	print_group(group, text.out);
	text_layout_end(&text, file);
}
