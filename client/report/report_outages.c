#include "client/report/report_outages.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/units.h"
#include "lib/xmalloc.h"
#include "client/report/chart.h"

#define EVENTS_SHOWN 6
#define ROWS_MAX 200 /* of the picture */
#define COLUMNS 400
#define LEVELS 4 /* of darkness */

/* Periods that overlap, or nearly: one outage of the path. */
struct event {
	uint64_t begin_ns, end_ns;
	uint64_t shortest_ns, longest_ns; /* of those that ended by an answer */
	size_t periods, lost;
};

static bool
is_lost(const struct result_outage *outage)
{
	return strcmp(outage->end, outages_end_names[OUTAGE_LOST]) == 0;
}

static uint64_t
end_of(const struct result_outage *outage)
{
	return outage->begin_ns + outage->length_ns;
}

static int
by_begin(const void *a, const void *b)
{
	const struct result_outage *const *x = a, *const *y = b;
	return ((*x)->begin_ns > (*y)->begin_ns) - ((*x)->begin_ns < (*y)->begin_ns);
}

static int
by_length(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static void
add_period(struct event *event, const struct result_outage *outage)
{
	if (event->periods++ == 0)
		*event = (struct event){ .begin_ns = outage->begin_ns,
			.shortest_ns = UINT64_MAX,
			.periods = 1 };
	if (end_of(outage) > event->end_ns)
		event->end_ns = end_of(outage);
	if (is_lost(outage)) {
		event->lost++;
		return;
	}
	if (outage->length_ns < event->shortest_ns)
		event->shortest_ns = outage->length_ns;
	if (outage->length_ns > event->longest_ns)
		event->longest_ns = outage->length_ns;
}

/* The events in the order of their begin, on the heap; *ret_all: all together. */
static struct event *
find_events(const struct result *result, size_t *ret_count, struct event *ret_all)
{
	size_t n = result->outage_count, count = 0;
	const struct result_outage **sorted = xcalloc(n + 1, sizeof(*sorted));
	struct event *events = xcalloc(n + 1, sizeof(*events));
	*ret_all = (struct event){ .periods = 0 };
	for (size_t i = 0; i < n; i++)
		sorted[i] = &result->outages[i];
	qsort(sorted, n, sizeof(*sorted), by_begin);
	for (size_t i = 0; i < n; i++) {
		bool is_new = count == 0 ||
		    sorted[i]->begin_ns >
			events[count - 1].end_ns + result->plan.hold_ns;
		count += is_new;
		add_period(&events[count - 1], sorted[i]);
		add_period(ret_all, sorted[i]);
	}
	free(sorted);
	*ret_count = count;
	return events;
}

static const char *
show_lengths(const struct event *event, char *text, size_t size)
{
	char shortest[UNITS_TEXT_MAX], longest[UNITS_TEXT_MAX];
	units_show_duration(event->shortest_ns, shortest);
	units_show_duration(event->longest_ns, longest);
	if (event->longest_ns == 0)
		text[0] = '\0';
	else if (strcmp(shortest, longest) == 0)
		snprintf(text, size, " for %s", longest);
	else
		snprintf(text, size, " for %s to %s", shortest, longest);
	return text;
}

/* "14:03:07.2" of a time since the epoch, in UTC. */
static const char *
show_time(uint64_t ns, char *text)
{
	char whole[UNITS_TEXT_MAX];
	units_format_time(ns, 1, whole);
	snprintf(text, UNITS_TEXT_MAX, "%.10s", whole + strlen("2026-11-30T"));
	return text;
}

/* "; 5 of 10 never established": they have no outage, for they never had an answer. */
static void
add_never_established(struct report_line *line, const struct result *result)
{
	const struct result_connections *c = &result->connections;
	char number[UNITS_TEXT_MAX], of[UNITS_TEXT_MAX];
	if (line->length > 0)
		line->separator = "; ";
	if (!result->is_running && c->first < c->requested)
		report_line_add(line, "%s of %s never established",
		    units_show_count(c->requested - c->first, number),
		    units_show_count(c->requested, of));
}

static void
write_no_outage(const struct result *result, char *out)
{
	char limit[UNITS_TEXT_MAX];
	struct report_line line = report_line_start(out);
	if (result->connections.first > 0)
		report_line_add(&line,
		    "no%s connection was without an answer for more than %s",
		    result->connections.first < result->connections.requested
			? " established"
			: "",
		    units_show_duration(result->plan.hold_ns, limit));
	add_never_established(&line, result);
}

static void
write_ticket(const struct result *result, const struct event *all, char *out)
{
	const struct result_hold *hold = &result->hold;
	char number[UNITS_TEXT_MAX], of[UNITS_TEXT_MAX], time[UNITS_TEXT_MAX];
	char lengths[2 * UNITS_TEXT_MAX + 16];
	struct report_line line = report_line_start(out);
	report_line_add(&line, "%s of %s connections dark%s from %s UTC",
	    units_show_count(hold->connections, number),
	    units_show_count(result->connections.requested, of),
	    show_lengths(all, lengths, sizeof(lengths)),
	    show_time(all->begin_ns, time));
	line.separator = "; ";
	report_line_add(&line, "%s lost", units_show_count(hold->lost, number));
	add_never_established(&line, result);
	line.separator = "; ";
	if (result->messages.wrong == 0 && result->bytes_unexpected == 0)
		report_line_add(&line, "0 wrong bytes");
	else
		report_line_add(&line, "%s wrong answer%s",
		    units_show_count(result->messages.wrong, number),
		    report_line_plural(result->messages.wrong));
}

static void
write_event(const struct event *event, char *out)
{
	char number[UNITS_TEXT_MAX], time[UNITS_TEXT_MAX];
	char lengths[2 * UNITS_TEXT_MAX + 16];
	struct report_line line = report_line_start(out);
	report_line_add(&line, "from %s UTC: %s period%s%s",
	    show_time(event->begin_ns, time), units_show_count(event->periods, number),
	    report_line_plural(event->periods),
	    show_lengths(event, lengths, sizeof(lengths)));
	if (event->lost > 0)
		report_line_add(
		    &line, "%s lost", units_show_count(event->lost, number));
}

/* The lengths of the periods that are not lost connections. */
static void
add_percentiles(const struct result *result, struct report_line *line)
{
	uint64_t *lengths = xcalloc(result->outage_count + 1, sizeof(*lengths));
	char p50[UNITS_TEXT_MAX], p90[UNITS_TEXT_MAX], p99[UNITS_TEXT_MAX];
	size_t n = 0;
	for (size_t i = 0; i < result->outage_count; i++)
		if (!is_lost(&result->outages[i]))
			lengths[n++] = result->outages[i].length_ns;
	qsort(lengths, n, sizeof(*lengths), by_length);
	if (n > 0)
		report_line_add(line, "p50 %s, p90 %s, p99 %s",
		    units_show_duration(lengths[n / 2], p50),
		    units_show_duration(lengths[n * 9 / 10], p90),
		    units_show_duration(lengths[n * 99 / 100], p99));
	free(lengths);
}

static void
add_count(struct report_line *line, uint64_t count, const char *what)
{
	char number[UNITS_TEXT_MAX];
	if (count > 0)
		report_line_add(line, "%s %s", units_show_count(count, number), what);
}

static void
write_ends(const struct result *result, char *out)
{
	const struct result_hold *hold = &result->hold;
	char number[UNITS_TEXT_MAX];
	struct report_line line = report_line_start(out);
	report_line_add(&line, "%s period%s", units_show_count(hold->periods, number),
	    report_line_plural(hold->periods));
	add_percentiles(result, &line);
	add_count(&line, hold->reconnected, "ended on a new connection");
	add_count(&line, hold->other_server, "of these at another server");
	add_count(&line, hold->open, "lasted to the end of the run");
	add_count(&line, hold->unlisted, "not listed");
}

size_t
report_outages_lines(
    const struct result *result, char lines[REPORT_OUTAGES_LINES_MAX][REPORT_LINE_MAX])
{
	struct event all;
	size_t count, n = 0;
	if (result->plan.hold_ns == 0)
		return 0;
	if (result->outage_count == 0) {
		write_no_outage(result, lines[0]);
		return lines[0][0] != '\0';
	}
	struct event *events = find_events(result, &count, &all);
	write_ticket(result, &all, lines[n++]);
	for (size_t i = 0; count > 1 && i < count && i < EVENTS_SHOWN; i++)
		write_event(&events[i], lines[n++]);
	if (count > EVENTS_SHOWN)
		snprintf(lines[n++], REPORT_LINE_MAX, "%zu more", count - EVENTS_SHOWN);
	write_ends(result, lines[n++]);
	free(events);
	return n;
}

/* A picture of connections, in rows of several, by time. */
struct picture {
	const struct result *result;
	size_t rows;
	double seconds; /* of all columns */
	uint32_t *dark; /* connections, by row and column */
};

static size_t
column_of(const struct picture *picture, uint64_t at_ns)
{
	double at_s = (double)(int64_t)(at_ns - picture->result->started_at_ns) /
	    (double)NS_PER_S;
	double column = at_s / picture->seconds * COLUMNS;
	return (size_t)fmin(COLUMNS - 1, fmax(0, column));
}

static void
fill(struct picture *picture)
{
	const struct result *result = picture->result;
	double all = fmax(1, (double)result->connections.requested);
	for (size_t i = 0; i < result->outage_count; i++) {
		const struct result_outage *outage = &result->outages[i];
		size_t row = (size_t)fmin((double)picture->rows - 1,
		    (double)outage->connection / all * (double)picture->rows);
		size_t last =
		    is_lost(outage) ? COLUMNS - 1 : column_of(picture, end_of(outage));
		for (size_t c = column_of(picture, outage->begin_ns); c <= last; c++)
			picture->dark[row * COLUMNS + c]++;
	}
}

/* From 0, no connection of the row is dark, to LEVELS. */
static int
level_of(const struct picture *picture, size_t row, size_t column)
{
	double all = fmax(1, (double)picture->result->connections.requested);
	double share = picture->dark[row * COLUMNS + column] /
	    fmax(1, all / (double)picture->rows);
	return (int)fmin(LEVELS, ceil(share * LEVELS));
}

static void
draw_row(const struct picture *picture, const struct chart *chart, size_t row)
{
	double height = chart->y.low / (double)picture->rows;
	double width = picture->seconds / COLUMNS;
	for (size_t first = 0; first < COLUMNS;) {
		int level = level_of(picture, row, first);
		size_t end = first + 1;
		while (end < COLUMNS && level_of(picture, row, end) == level)
			end++;
		if (level > 0)
			chart_rectangle(chart, (double)first * width,
			    (double)end * width, (double)row * height,
			    (double)(row + 1) * height, (double)level / LEVELS);
		first = end;
	}
}

static void
mark_axes(const struct chart *chart)
{
	double step = chart_step(&chart->x);
	char text[UNITS_TEXT_MAX];
	for (int i = 0; step * i <= chart->x.high * 1.0001; i++) {
		snprintf(text, sizeof(text), "%.6g s", step * i);
		chart_mark_x(chart, step * i, text);
	}
	const struct chart_axis upright = { 0, chart->y.low, false };
	step = fmax(1, chart_step(&upright));
	for (int i = 0; step * i <= chart->y.low * 1.0001; i++)
		chart_mark_y(
		    chart, step * i, units_show_count(result_whole(step * i), text));
}

static void
draw_picture(const struct result *result, FILE *file)
{
	double all = fmax(1, (double)result->connections.requested);
	struct picture picture = { .result = result,
		.rows = (size_t)fmin(ROWS_MAX, all),
		.seconds = fmax(result->elapsed_s, 0.1) };
	struct chart chart = {
		.file = file,
		.x = { 0, picture.seconds, false },
		.y = { all, 0, false }, /* downwards */
	};
	picture.dark = xcalloc(picture.rows * COLUMNS, sizeof(*picture.dark));
	fill(&picture);
	chart_open(&chart, "Connections without an answer, by time");
	mark_axes(&chart);
	for (size_t row = 0; row < picture.rows; row++)
		draw_row(&picture, &chart, row);
	chart_close(&chart);
	free(picture.dark);
}

void
report_outages_html(const struct result *result, FILE *file)
{
	char lines[REPORT_OUTAGES_LINES_MAX][REPORT_LINE_MAX];
	size_t count = report_outages_lines(result, lines);
	if (count == 0)
		return;
	fputs("<div class=\"chart\" id=\"outages\">\n<h2>Outages</h2>\n", file);
	for (size_t i = 0; i < count; i++) {
		fputs(i == 0 ? "<p><b>" : "<p>", file);
		chart_text(file, lines[i]);
		fputs(i == 0 ? "</b></p>\n" : "</p>\n", file);
	}
	if (result->outage_count > 0) {
		draw_picture(result, file);
		fputs(
		    "<p class=\"dim\">Time across, connections down. A line stands for several connections; the darker it is, the more of them are without an answer.</p>\n",
		    file);
	}
	fputs("</div>\n", file);
}
