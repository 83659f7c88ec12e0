#include "client/report/report_charts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/stats/percentile_interval.h"
#include "lib/units.h"
#include "lib/xmalloc.h"
#include "client/report/chart.h"

#define POINTS_MAX 512
#define NINES_MAX 6 /* to 99.9999 % */
#define SHORTEST_S 0.05

/* The lines of the percentile chart; the index is the colour. */
static const enum latency_kind charted_latencies[] = { LATENCY_RESPONSE,
	LATENCY_SERVICE, LATENCY_SEND_LAG, LATENCY_CONNECT };
#define CHARTED_COUNT (sizeof(charted_latencies) / sizeof(charted_latencies[0]))

/* Opens a chart with its heading and the key of its lines. */
static void
open_panel(const char *title, const char *class, const char *const *names, size_t count,
    FILE *file)
{
	fprintf(file, "<div class=\"chart%s\">\n<h2>%s</h2>\n", class, title);
	chart_key(file, names, count);
}

static void
close_panel(FILE *file)
{
	fputs("</div>\n", file);
}

static void
mark_durations(const struct chart *chart)
{
	double step = chart_step(&chart->y);
	char text[UNITS_TEXT_MAX];
	for (double v = chart->y.low; v <= chart->y.high * 1.0001;
	     v = chart->y.log ? v * step : v + step)
		chart_mark_y(chart, v, units_show_duration(result_whole(v), text));
}

/* 1/(1-p) for p of 0, 90, 99, 99.9 ... percent */
static void
mark_percentiles(const struct chart *chart)
{
	static const char *const labels[] = { "0", "90", "99", "99.9", "99.99",
		"99.999", "99.9999" };
	double value = 1;
	for (int i = 0; i <= NINES_MAX && value <= chart->x.high * 1.0001; i++) {
		chart_mark_x(chart, value, labels[i]);
		value *= 10;
	}
}

enum { STEPS = 96 };

/* Percentiles of a histogram at even steps of the axis; only those of response have an
 * interval. Returns how many of them, from the start, have enough samples. */
static size_t
sample_percentiles(const struct chart *chart, const struct result *result,
    enum latency_kind which, struct chart_point *values, struct chart_point *low,
    struct chart_point *high)
{
	struct percentile_walk walk = { .is_value_only = which != LATENCY_RESPONSE };
	size_t known = 0;
	for (size_t i = 0; i < STEPS; i++) {
		double x = pow(chart->x.high, (double)i / (double)(STEPS - 1));
		struct percentile_interval c =
		    result_percentile_next(result, which, 100 * (1 - 1 / x), &walk);
		values[i] = (struct chart_point){ x, (double)c.value };
		low[i] = (struct chart_point){ x, (double)c.low };
		high[i] = (struct chart_point){ x, (double)c.high };
		if (c.known || 1 - 1 / x < 0.5)
			known = i + 1;
	}
	return known;
}

static void
draw_percentiles(const struct chart *chart, const struct result *result, size_t which)
{
	struct chart_point values[STEPS], low[STEPS], high[STEPS];
	const struct histogram *h = result->latency[charted_latencies[which]];
	if (histogram_count(h) == 0)
		return;
	size_t known = sample_percentiles(
	    chart, result, charted_latencies[which], values, low, high);
	if (charted_latencies[which] == LATENCY_RESPONSE)
		chart_band(chart, low, high, known, (int)which);
	chart_line(chart, values, known, (int)which, false);
	if (known < STEPS)
		chart_line(chart, values + (known > 0 ? known - 1 : 0),
		    STEPS - (known > 0 ? known - 1 : 0), (int)which, true);
}

static void
write_percentiles(const struct result *result, FILE *file)
{
	const char *names[CHARTED_COUNT] = { NULL };
	double low = 1e18, high = 0, most = 0;
	struct chart chart = { .file = file };
	for (size_t i = 0; i < CHARTED_COUNT; i++) {
		const struct histogram *h = result->latency[charted_latencies[i]];
		if (histogram_count(h) == 0)
			continue;
		names[i] = threshold_latency_names[charted_latencies[i]];
		low = fmin(low, (double)histogram_min(h));
		high = fmax(high, (double)histogram_max(h));
		most = fmax(most, (double)histogram_count(h));
	}
	if (most == 0)
		return;
	chart.x = (struct chart_axis){ 1,
		pow(10, fmin(NINES_MAX, fmax(1, ceil(log10(most))))), true };
	chart.y = chart_round(fmax(low, 100), high, true);
	open_panel("Latency by percentile", "", names, CHARTED_COUNT, file);
	chart_open(&chart, "Latency by percentile");
	mark_durations(&chart);
	mark_percentiles(&chart);
	for (size_t i = CHARTED_COUNT; i > 0; i--) /* response on top */
		draw_percentiles(&chart, result, i - 1);
	chart_close(&chart);
	fputs(
	    "<p class=\"dim\">The shaded band is the 95 % confidence interval of response; dotted: too few samples.</p>\n",
	    file);
	close_panel(file);
}

/* 1500000 -> "1.5M" */
static const char *
format_count(double value, char *buffer)
{
	static const struct {
		double unit;
		const char *name;
	} units[] = { { 1e9, "G" }, { 1e6, "M" }, { 1e3, "k" } };
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (value >= units[i].unit) {
			snprintf(buffer, UNITS_TEXT_MAX, "%.4g%s",
			    value / units[i].unit, units[i].name);
			return buffer;
		}
	snprintf(buffer, UNITS_TEXT_MAX, "%.3g", value);
	return buffer;
}

static void
mark_counts(const struct chart *chart)
{
	double step = chart_step(&chart->y);
	char text[UNITS_TEXT_MAX];
	for (int i = 0; step * i <= chart->y.high * 1.0001; i++)
		chart_mark_y(chart, step * i, format_count(step * i, text));
}

static void
mark_loads(const struct chart *chart)
{
	double step = chart_step(&chart->x);
	char text[UNITS_TEXT_MAX], label[UNITS_TEXT_MAX + 2];
	for (int i = 0; step * i <= chart->x.high * 1.0001; i++) {
		snprintf(label, sizeof(label), "%s/s", format_count(step * i, text));
		chart_mark_x(chart, step * i, label);
	}
}

static void
mark_seconds(const struct chart *chart)
{
	double step = chart_step(&chart->x);
	char text[UNITS_TEXT_MAX];
	for (int i = 0; step * i <= chart->x.high * 1.0001; i++) {
		snprintf(text, sizeof(text), "%.6g s", step * i);
		chart_mark_x(chart, step * i, text);
	}
}

/* A figure of one second; NAN: none. */
typedef double figure_function(const struct sampler_second *second);

/* A very short last second gives no meaningful rate. */
static double
per_second(const struct sampler_second *s, uint64_t count)
{
	if (s->at_s > 0 && s->length_s < SHORTEST_S)
		return NAN;
	return s->length_s > 0 ? (double)count / s->length_s : 0;
}

static double
rate_of(const struct sampler_second *s)
{
	return per_second(s, s->verified);
}

static double
lost_of(const struct sampler_second *s)
{
	return per_second(s, s->lost + s->wrong);
}

static double
known_or_gap(const struct sampler_second *s, uint64_t ns)
{
	return s->count == 0 || ns == UINT64_MAX ? NAN : (double)ns;
}

static double
p50_of(const struct sampler_second *s)
{
	return known_or_gap(s, s->p50_ns);
}

static double
p90_of(const struct sampler_second *s)
{
	return known_or_gap(s, s->p90_ns);
}

static double
p99_of(const struct sampler_second *s)
{
	return known_or_gap(s, s->p99_ns);
}

static double
max_of(const struct sampler_second *s)
{
	return known_or_gap(s, s->max_ns);
}

static double
open_of(const struct sampler_second *s)
{
	return (double)s->connections_open;
}

/* The rows of a chart over time, in order. */
struct series {
	const struct sampler_second **rows; /* owned */
	size_t count;
	double end_s;
};

/* The seconds; with `fine` the rows of 100 ms in place of those seconds that have some,
 * unless they are those of several ranks. */
static struct series
series_of(const struct result *result, bool fine)
{
	bool has_fine = fine && result->rank_count <= 1;
	const struct sampler_second *last = &result->seconds[result->second_count - 1];
	struct series series = {
		.rows = xcalloc(
		    result->second_count + result->tenth_count, sizeof(series.rows[0])),
		.end_s = fmax(last->at_s + last->length_s, 0.001),
	};
	size_t t = 0;
	for (size_t i = 0; i < result->second_count; i++) {
		const struct sampler_second *second = &result->seconds[i];
		double end = second->at_s + second->length_s - SHORTEST_S / 2;
		size_t before = series.count;
		for (; t < result->tenth_count && result->tenths[t].at_s < end; t++)
			if (has_fine)
				series.rows[series.count++] = &result->tenths[t];
		if (series.count == before)
			series.rows[series.count++] = second;
	}
	return series;
}

/* At most POINTS_MAX points; of rows that share one, the highest is shown. */
static size_t
sample_series(const struct series *series, figure_function *figure,
    struct chart_point ret[POINTS_MAX])
{
	size_t group = (series->count + POINTS_MAX - 1) / POINTS_MAX, count = 0;
	for (size_t i = 0; i < series->count; i += group) {
		const struct sampler_second *first = series->rows[i];
		double highest = NAN;
		for (size_t j = i; j < i + group && j < series->count; j++)
			highest = fmax(highest, figure(series->rows[j]));
		ret[count++] =
		    (struct chart_point){ first->at_s + first->length_s / 2, highest };
	}
	return count;
}

/* A mark on the time axis if something was lost or wrong; true if it was. `host`: of a
 * merged result, else NULL. */
static bool
mark_row(const struct chart *chart, const struct sampler_second *row, const char *host)
{
	char text[256], messages[UNITS_TEXT_MAX], connections[UNITS_TEXT_MAX];
	if (!sampler_second_has_event(row))
		return false;
	snprintf(text, sizeof(text),
	    "%.1f s: %s connections lost, %s messages lost or wrong%s%.64s", row->at_s,
	    units_show_count(row->connections_lost, connections),
	    units_show_count(row->lost + row->wrong, messages),
	    host != NULL ? ": " : "", host != NULL ? host : "");
	chart_event(chart, row->at_s + row->length_s / 2, text);
	return true;
}

static const char *
host_of(const struct result *result, const struct sampler_second *tenth)
{
	return tenth->rank_index < result->rank_count
	    ? result->ranks[tenth->rank_index].hostname
	    : NULL;
}

/* Marks the rows of 100 ms, and the seconds that have none with an event. */
static void
mark_events(const struct chart *chart, const struct result *result)
{
	size_t t = 0;
	for (size_t i = 0; i < result->second_count; i++) {
		const struct sampler_second *second = &result->seconds[i];
		double end = second->at_s + second->length_s - SHORTEST_S / 2;
		bool is_marked = false;
		for (; t < result->tenth_count && result->tenths[t].at_s < end; t++)
			is_marked |= mark_row(chart, &result->tenths[t],
			    host_of(result, &result->tenths[t]));
		if (!is_marked)
			mark_row(chart, second, NULL);
	}
}

#define LINES_MAX 4

/* A chart over time: a line for each figure that has a value. */
struct time_chart {
	const char *title, *class;
	size_t count;
	figure_function *figures[LINES_MAX];
	const char *names[LINES_MAX];
	bool is_latency;
	size_t shown_above_0; /* index of a line without which 0 is meant */
};
#define NO_LINE LINES_MAX

static void
draw_seconds(
    const struct time_chart *what, const struct result *result, struct chart *chart)
{
	struct chart_point points[POINTS_MAX];
	const char *names[LINES_MAX] = { NULL };
	struct series series = series_of(result, !what->is_latency);
	double low = 1e18, high = 0;
	for (size_t f = 0; f < what->count; f++)
		for (size_t i = sample_series(&series, what->figures[f], points); i > 0;
		     i--) {
			if (isnan(points[i - 1].y) ||
			    (f == what->shown_above_0 && points[i - 1].y == 0))
				continue;
			low = fmin(low, points[i - 1].y);
			high = fmax(high, points[i - 1].y);
			names[f] = what->names[f];
		}
	chart->x = (struct chart_axis){ 0, series.end_s, false };
	chart->y = chart_round(fmax(low, 100), high, what->is_latency);
	open_panel(what->title, what->class, names, what->count, chart->file);
	chart_open(chart, what->title);
	if (what->is_latency)
		mark_durations(chart);
	else
		mark_counts(chart);
	mark_seconds(chart);
	mark_events(chart, result);
	for (size_t f = 0; f < what->count; f++)
		if (names[f] != NULL)
			chart_line(chart, points,
			    sample_series(&series, what->figures[f], points), (int)f,
			    false);
	chart_close(chart);
	close_panel(chart->file);
	free(series.rows);
}

static void
write_seconds(const struct result *result, FILE *file)
{
	static const struct time_chart charts[] = {
		{ "Rate over time", " loss", 2, { rate_of, lost_of },
		    { "verified/s", "lost or wrong/s" }, false, 1 },
		{ "Response latency over time", "", 4,
		    { p50_of, p90_of, p99_of, max_of }, { "p50", "p90", "p99", "max" },
		    true, NO_LINE },
		{ "Open connections", "", 1, { open_of }, { "open" }, false, NO_LINE },
	};
	struct chart chart = { .file = file };
	for (size_t i = 0; i < sizeof(charts) / sizeof(charts[0]); i++)
		draw_seconds(&charts[i], result, &chart);
}

static int
by_load(const void *a, const void *b)
{
	const struct result_search_step *const *x = a, *const *y = b;
	return (*x)->achieved < (*y)->achieved ? -1 : (*x)->achieved > (*y)->achieved;
}

enum { CURVES = 2 };

static uint64_t
curve_of(const struct result_search_step *step, size_t which)
{
	return which == 0 ? step->p50_ns : step->p99_ns;
}

static void
draw_curve(const struct chart *chart, const struct result_search_step **steps,
    size_t count, size_t which)
{
	struct chart_point *points = xcalloc(count, sizeof(points[0]));
	for (size_t i = 0; i < count; i++) {
		uint64_t ns = curve_of(steps[i], which);
		points[i] = (struct chart_point){ steps[i]->achieved,
			ns == UINT64_MAX ? NAN : (double)ns };
	}
	chart_line(chart, points, count, (int)which, false);
	for (size_t i = 0; i < count; i++)
		if (!isnan(points[i].y))
			chart_circle(chart, points[i], (int)which,
			    strcmp(steps[i]->outcome, "failed") == 0);
	free(points);
}

/* How the latency grows with the load: the steps of --search. */
static void
write_search_curve(const struct result *result, FILE *file)
{
	static const char *const all[CURVES] = { "p50", "p99" };
	const char *names[CURVES] = { NULL };
	size_t count = result->search_step_count;
	struct chart chart = { .file = file };
	double low = 1e18, high = 0, most = 0;
	if (count == 0)
		return;
	const struct result_search_step **steps = xcalloc(count, sizeof(steps[0]));
	for (size_t i = 0; i < count; i++) {
		steps[i] = &result->search_steps[i];
		most = fmax(most, steps[i]->achieved);
		for (size_t c = 0; c < CURVES; c++) {
			if (curve_of(steps[i], c) == UINT64_MAX)
				continue;
			names[c] = all[c];
			low = fmin(low, (double)curve_of(steps[i], c));
			high = fmax(high, (double)curve_of(steps[i], c));
		}
	}
	qsort(steps, count, sizeof(steps[0]), by_load);
	chart.x = chart_round(0, most, false);
	chart.y = chart_round(fmax(low, 100), high, true);
	open_panel("Latency against load", "", names, CURVES, file);
	chart_open(&chart, "Latency against load");
	mark_durations(&chart);
	mark_loads(&chart);
	for (size_t c = CURVES; c > 0; c--)
		if (names[c - 1] != NULL)
			draw_curve(&chart, steps, count, c - 1);
	chart_close(&chart);
	fputs(
	    "<p class=\"dim\">Response latency of each step at the rate that it achieved; filled: the step failed.</p>\n",
	    file);
	close_panel(file);
	free(steps);
}

void
report_charts(const struct result *result, FILE *file)
{
	fputs("<div class=\"charts\">\n", file);
	write_search_curve(result, file);
	if (result->second_count > 0)
		write_seconds(result, file);
	write_percentiles(result, file);
	fputs("</div>\n", file);
	if (result->rank_count > 1)
		fputs(
		    "<p class=\"dim\">Percentiles of several ranks cannot be merged: for seconds that ranks share, only the maximum is shown.</p>\n",
		    file);
}

static void
write_bar(
    FILE *file, const char *what, const char *reason, uint64_t count, uint64_t all)
{
	char number[UNITS_TEXT_MAX];
	if (count == 0)
		return;
	fprintf(file,
	    "<tr><th scope=\"row\">%s%s</th><td>%s</td><td class=\"wide\"><svg class=\"bar\" viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect width=\"%.1f\" height=\"10\"/></svg></td></tr>\n",
	    what, reason, units_show_count(count, number),
	    100 * fmin(1, (double)count / fmax(1, (double)all)));
}

void
report_charts_losses(const struct result *result, FILE *file)
{
	const struct result_messages *m = &result->messages;
	const struct result_connections *c = &result->connections;
	uint64_t gone = result_lost(m) + m->wrong + m->in_flight;
	uint64_t failed = result_failed(c->failed) + c->lost;
	char sent[UNITS_TEXT_MAX], verified[UNITS_TEXT_MAX], wrong[UNITS_TEXT_MAX],
	    lost[UNITS_TEXT_MAX], in_flight[UNITS_TEXT_MAX];
	fprintf(file,
	    "<h2>Messages</h2>\n<p id=\"equation\"><b>%s</b> sent %s <b>%s</b> verified + <b>%s</b> wrong + <b>%s</b> lost + <b>%s</b> in flight</p>\n",
	    units_show_count(m->sent, sent),
	    result_adds_up(m) ? "=" : "!=", units_show_count(m->verified, verified),
	    units_show_count(m->wrong, wrong), units_show_count(result_lost(m), lost),
	    units_show_count(m->in_flight, in_flight));
	if (gone + failed == 0) {
		fputs("<p class=\"good\">Nothing was lost.</p>\n", file);
		return;
	}
	fputs("<table class=\"left\" id=\"losses\">\n", file);
	write_bar(file, "messages wrong", "", m->wrong, gone);
	for (int i = 0; i < MESSAGE_LOSS_COUNT; i++)
		write_bar(
		    file, "messages lost: ", counters_loss_names[i], m->lost[i], gone);
	write_bar(file, "messages in flight", "", m->in_flight, gone);
	for (int i = 0; i < CONNECT_FAILURE_COUNT; i++)
		write_bar(file,
		    "connections failed: ", counters_connect_failure_names[i],
		    c->failed[i], failed);
	write_bar(file, "connections lost", "", c->lost, failed);
	fputs("</table>\n", file);
}
