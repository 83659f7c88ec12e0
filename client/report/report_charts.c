#include "client/report/report_charts.h"

#include <math.h>
#include <stdlib.h>

#include "lib/stats/percentile_interval.h"
#include "lib/units.h"
#include "client/report/chart.h"

#define POINTS_MAX 512
#define NINES_MAX 6 /* to 99.9999 % */
#define SHORTEST_S 0.05

/* The lines of the percentile chart; the index is the colour. */
static const enum latency_kind charted_latencies[] = { LATENCY_RESPONSE,
	LATENCY_SERVICE, LATENCY_SEND_LAG, LATENCY_CONNECT };
#define CHARTED_COUNT (sizeof(charted_latencies) / sizeof(charted_latencies[0]))

static void
write_key(FILE *file, const char *const *names, size_t count)
{
	fputs("<div class=\"key\">", file);
	for (size_t i = 0; i < count; i++)
		if (names[i] != NULL)
			fprintf(
			    file, "<span><i class=\"s%zu\"></i>%s</span>", i, names[i]);
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

enum { STEPS = 160 };

/* Percentiles of a histogram at even steps of the axis. Returns how many of them, from
 * the start, have enough samples. */
static size_t
sample_percentiles(const struct chart *chart, const struct result *result,
    enum latency_kind which, struct chart_point *values, struct chart_point *low,
    struct chart_point *high)
{
	size_t known = 0;
	for (size_t i = 0; i < STEPS; i++) {
		double x = pow(chart->x.high, (double)i / (double)(STEPS - 1));
		struct percentile_interval c =
		    result_percentile(result, which, 100 * (1 - 1 / x));
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

void
report_charts_percentiles(const struct result *result, FILE *file)
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
	fputs("<h2>Latency by percentile</h2>\n", file);
	write_key(file, names, CHARTED_COUNT);
	chart_open(&chart, "Latency by percentile");
	mark_durations(&chart);
	mark_percentiles(&chart);
	for (size_t i = CHARTED_COUNT; i > 0; i--) /* response on top */
		draw_percentiles(&chart, result, i - 1);
	chart_close(&chart);
	fputs(
	    "<p class=\"dim\">The shaded band is the 95 % confidence interval of response; dotted: too few samples.</p>\n",
	    file);
}

static void
mark_seconds(const struct chart *chart)
{
	double step = chart_step(&chart->x);
	char text[UNITS_TEXT_MAX];
	for (double v = 0; v <= chart->x.high * 1.0001; v += step) {
		snprintf(text, sizeof(text), "%g s", v);
		chart_mark_x(chart, v, text);
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

/* At most POINTS_MAX points; of seconds that share one, the highest is shown. */
static size_t
sample_seconds(
    const struct result *result, figure_function *figure, struct chart_point *ret)
{
	size_t group = (result->second_count + POINTS_MAX - 1) / POINTS_MAX, count = 0;
	for (size_t i = 0; i < result->second_count; i += group) {
		const struct sampler_second *first = &result->seconds[i];
		double highest = NAN;
		for (size_t j = i; j < i + group && j < result->second_count; j++)
			highest = fmax(highest, figure(&result->seconds[j]));
		ret[count++] =
		    (struct chart_point){ first->at_s + first->length_s / 2, highest };
	}
	return count;
}

/* Draws a chart over time with one line for each figure. */
static void
draw_seconds(struct chart *chart, const struct result *result, const char *label,
    figure_function *const *figures, size_t count, bool latency)
{
	struct chart_point points[POINTS_MAX];
	const struct sampler_second *last = &result->seconds[result->second_count - 1];
	double low = 1e18, high = 0, step;
	char text[UNITS_TEXT_MAX];
	for (size_t f = 0; f < count; f++)
		for (size_t i = sample_seconds(result, figures[f], points); i > 0;
		     i--) {
			low = fmin(low, points[i - 1].y);
			high = fmax(high, points[i - 1].y);
		}
	chart->x =
	    (struct chart_axis){ 0, fmax(last->at_s + last->length_s, 0.001), false };
	chart->y = chart_round(fmax(low, 100), high, latency);
	chart_open(chart, label);
	step = chart_step(&chart->y);
	if (latency)
		mark_durations(chart);
	else
		for (double v = 0; v <= chart->y.high * 1.0001; v += step)
			chart_mark_y(chart, v, units_show_count(result_whole(v), text));
	mark_seconds(chart);
	for (size_t f = 0; f < count; f++)
		chart_line(chart, points, sample_seconds(result, figures[f], points),
		    (int)f, false);
	chart_close(chart);
}

void
report_charts_seconds(const struct result *result, FILE *file)
{
	static figure_function *const rates[] = { rate_of, lost_of };
	static figure_function *const times[] = { p50_of, p90_of, p99_of, max_of };
	static const char *const rate_names[] = { "verified/s", "lost or wrong/s" };
	static const char *const time_names[] = { "p50", "p90", "p99", "max" };
	struct chart chart = { .file = file };
	if (result->second_count == 0)
		return;
	fputs("<div class=\"loss\"><h2>Rate over time</h2>\n", file);
	write_key(file, rate_names, 2);
	draw_seconds(&chart, result, "Rate over time", rates, 2, false);
	fputs("</div>\n<h2>Response latency over time</h2>\n", file);
	write_key(file, time_names, 4);
	draw_seconds(&chart, result, "Response latency over time", times, 4, true);
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
	    "<tr><td>%s%s</td><td>%s</td><td style=\"width:50%%\"><span class=\"bar\" style=\"width:%.1f%%\"></span></td></tr>\n",
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
