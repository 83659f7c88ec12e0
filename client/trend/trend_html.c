#include "client/trend/trend_html.h"

#include <math.h>
#include <stdlib.h>

#include "lib/stats/change_points.h"
#include "lib/xmalloc.h"
#include "client/report/chart.h"
#include "client/report/report_style.h"
#include "client/trend/trend_text.h"

enum { SERIES_VALUE, SERIES_LEVEL };

static void
write_head(const struct trend_group *groups, size_t count, FILE *file)
{
	size_t runs = 0;
	for (size_t i = 0; i < count; i++)
		runs += groups[i].run_count;
	fprintf(file,
	    "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\n"
	    "<meta name=\"viewport\" content=\"width=device-width\">\n"
	    "<link rel=\"icon\" href=\"data:,\">\n<title>yodel: trend of %zu runs</title>\n"
	    "<style>\n%s</style>\n</head>\n<body>\n<h1>yodel: trend of %zu runs</h1>\n",
	    runs, report_style, runs);
	fprintf(file,
	    "<p class=\"dim\">A change is marked where the level of a figure differs by more than chance: at most 1 in %d unchanged figures shows one.</p>\n",
	    CHANGE_POINTS_FALSE_ALARMS);
}

static void
write_cell(FILE *file, const char *text)
{
	fputs("<td>", file);
	chart_text(file, text);
	fputs("</td>", file);
}

static void
write_figure_row(const struct trend_figure *figure, FILE *file)
{
	static const char *const classes[] = { "dim", "dim", "good", "bad", "dim" };
	char text[UNITS_TEXT_MAX];
	fputs("<tr>", file);
	write_cell(file, figure->name);
	write_cell(file, trend_text_level(figure, text));
	write_cell(file, trend_text_latest(figure, text));
	write_cell(file, trend_text_low(figure, text));
	write_cell(file, trend_text_high(figure, text));
	write_cell(file, trend_text_difference(figure, text));
	fprintf(file, "<td class=\"%s\">%s</td></tr>\n", classes[figure->latest],
	    trend_outcome_names[figure->latest]);
}

static void
write_figures(const struct trend_group *group, FILE *file)
{
	fputs(
	    "<div class=\"scroll\"><table><tr><th></th><th>level</th><th>latest</th><th>95 % from</th><th>to</th><th>difference</th><th>outcome</th></tr>\n",
	    file);
	for (size_t i = 0; i < group->figure_count; i++)
		write_figure_row(&group->figures[i], file);
	fputs("</table></div>\n", file);
}

static void
write_changes(const struct trend_group *group, FILE *file)
{
	char line[TREND_LINE_MAX];
	size_t count = 0;
	for (size_t i = 0; i < group->figure_count; i++)
		for (size_t c = 0; c < group->figures[i].change_count; c++) {
			fputs(count++ == 0 ? "<h3>Changes</h3>\n<ul>\n<li>" : "<li>",
			    file);
			chart_text(file, group->figures[i].name);
			fputs(": ", file);
			chart_text(file,
			    trend_text_change(group, &group->figures[i], c, line));
			fputs("</li>\n", file);
		}
	if (count > 0)
		fputs("</ul>\n", file);
	else if (group->run_count < CHANGE_POINTS_SERIES_MIN)
		fprintf(file, "<p>Changes are looked for from %d runs on.</p>\n",
		    CHANGE_POINTS_SERIES_MIN);
	else
		fputs("<p>No change.</p>\n", file);
	for (size_t n = 0; trend_text_plan(group, n, line); n++) {
		fputs("<p class=\"warn\">The plans of the runs differ in ", file);
		chart_text(file, line);
		fputs("</p>\n", file);
	}
	for (size_t n = 0; trend_text_label(group, n, line); n++) {
		fputs("<p class=\"warn\">The labels of the runs differ in ", file);
		chart_text(file, line);
		fputs(" (--by KEY makes groups of runs)</p>\n", file);
	}
}

static double
highest_of(const struct trend_figure *figure)
{
	double high = 0;
	for (size_t i = 0; i < figure->point_count; i++) {
		const struct trend_point *point = &figure->points[i];
		high = fmax(high, point->value);
		if (point->has_interval)
			high = fmax(high, point->high);
	}
	return high;
}

static void
mark_axes(const struct chart *chart, const struct trend_figure *figure, size_t runs)
{
	char text[UNITS_TEXT_MAX];
	size_t step = (size_t)fmax(1, chart_step(&chart->x));
	double high = chart->y.high, each = chart_step(&chart->y);
	/* A step below one event would repeat labels. */
	if (figure->unit != COMPARISON_DURATION)
		each = fmax(each, 1);
	for (size_t run = 1; run <= runs;
	     run += run == 1 && step > 1 ? step - 1 : step) {
		snprintf(text, sizeof(text), "%zu", run);
		chart_mark_x(chart, (double)run, text);
	}
	for (double v = 0; v <= high * 1.0001; v += each)
		chart_mark_y(chart, v, trend_text_value(figure, v, text));
}

/* Intervals, where neighbouring runs have one. */
static void
draw_intervals(const struct chart *chart, const struct trend_figure *figure)
{
	struct chart_point *low = xcalloc(figure->point_count, sizeof(*low));
	struct chart_point *high = xcalloc(figure->point_count, sizeof(*high));
	size_t count = 0;
	for (size_t i = 0; i < figure->point_count; i++) {
		const struct trend_point *point = &figure->points[i];
		if (point->has_interval) {
			double x = (double)point->run + 1;
			low[count] = (struct chart_point){ x, point->low };
			high[count++] = (struct chart_point){ x, point->high };
		}
		if (!point->has_interval || i + 1 == figure->point_count) {
			chart_band(chart, low, high, count, SERIES_VALUE);
			count = 0;
		}
	}
	free(low);
	free(high);
}

static void
draw_values(const struct chart *chart, const struct trend_figure *figure)
{
	struct chart_point *points = xcalloc(figure->point_count, sizeof(*points));
	for (size_t i = 0; i < figure->point_count; i++)
		points[i] = (struct chart_point){ (double)figure->points[i].run + 1,
			figure->points[i].value };
	chart_line(chart, points, figure->point_count, SERIES_VALUE, false);
	free(points);
}

static void
draw_levels(const struct chart *chart, const struct trend_figure *figure)
{
	for (size_t c = 0; c <= figure->change_count; c++) {
		size_t first = c > 0 ? figure->changes[c - 1] : 0;
		size_t end =
		    c < figure->change_count ? figure->changes[c] : figure->point_count;
		double level = trend_level(figure, first, end);
		const struct chart_point line[2] = {
			{ (double)figure->points[first].run + 0.6, level },
			{ (double)figure->points[end - 1].run + 1.4, level },
		};
		chart_line(chart, line, 2, SERIES_LEVEL, true);
	}
}

static bool
is_flat(const struct trend_figure *figure)
{
	for (size_t i = 1; i < figure->point_count; i++)
		if (figure->points[i].value != figure->points[0].value)
			return false;
	return true;
}

/* Figures that a chart would show as a straight line: in one paragraph. */
static void
write_flat(const struct trend_group *group, FILE *file)
{
	char text[UNITS_TEXT_MAX];
	size_t count = 0;
	for (size_t i = 0; i < group->figure_count; i++) {
		const struct trend_figure *figure = &group->figures[i];
		if (figure->point_count < 2 || !is_flat(figure))
			continue;
		fputs(count++ == 0 ? "<p>The same in all runs: " : "; ", file);
		chart_text(file, figure->name);
		fprintf(file, " %s",
		    trend_text_value(figure, figure->points[0].value, text));
	}
	if (count > 0)
		fputs(".</p>\n", file);
}

static void
write_chart(
    const struct trend_group *group, const struct trend_figure *figure, FILE *file)
{
	static const char *const names[] = { "run", "level" };
	double high = highest_of(figure);
	if (is_flat(figure) || high <= 0)
		return;
	const struct chart chart = {
		.file = file,
		.x = { 0.5, (double)group->run_count + 0.5, false },
		.y = chart_round(0, high, false),
	};
	fputs("<div class=\"chart\">\n<h3>", file);
	chart_text(file, figure->name);
	fputs("</h3>\n", file);
	chart_key(file, names, 2);
	chart_open(&chart, figure->name);
	mark_axes(&chart, figure, group->run_count);
	draw_intervals(&chart, figure);
	draw_levels(&chart, figure);
	draw_values(&chart, figure);
	chart_close(&chart);
	fputs("</div>\n", file);
}

static void
write_runs(const struct trend_group *group, FILE *file)
{
	char text[UNITS_TEXT_MAX], labels[TREND_LINE_MAX];
	fputs(
	    "<h3>Runs</h3>\n<div class=\"scroll left\"><table><tr><th>run</th><th>start</th><th>host</th><th>trust</th><th>labels</th><th>file</th></tr>\n",
	    file);
	for (size_t i = 0; i < group->run_count; i++) {
		const struct trend_run *run = group->runs[i];
		fprintf(file, "<tr><td>%zu</td>", i + 1);
		write_cell(file, units_format_time(run->started_at_ns, 0, text));
		write_cell(file, run->hostname);
		write_cell(file, run->is_suspect ? "suspect" : "valid");
		write_cell(file, labels_format(&run->labels, labels, sizeof(labels)));
		write_cell(file, run->path);
		fputs("</tr>\n", file);
	}
	fputs("</table></div>\n", file);
}

static void
write_group(const struct trend_group *group, FILE *file)
{
	char line[TREND_LINE_MAX];
	fputs("<h2>", file);
	chart_text(file, group->name[0] != '\0' ? group->name : "All runs");
	fputs("</h2>\n<p class=\"dim\">", file);
	chart_text(file, trend_text_range(group, line));
	fputs("</p>\n", file);
	write_figures(group, file);
	write_changes(group, file);
	for (size_t i = 0; i < group->figure_count; i++)
		write_chart(group, &group->figures[i], file);
	fputs(
	    "<p class=\"dim\">x: runs in the order of their start. The band is the 95 % confidence interval within each run.</p>\n",
	    file);
	write_flat(group, file);
	write_runs(group, file);
}

int
trend_html(const struct trend_group *groups, size_t count, FILE *file)
{
	write_head(groups, count, file);
	for (size_t i = 0; i < count; i++)
		write_group(&groups[i], file);
	fputs("</body>\n</html>\n", file);
	return ferror(file) ? -1 : 0;
}
