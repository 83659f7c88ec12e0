#include "client/report/chart.h"

#include <math.h>

#define LEFT 62.0
#define RIGHT 14.0
#define TOP 10.0
#define BOTTOM 26.0
#define MARKS 5 /* approximate number on a linear axis */

void
chart_text(FILE *file, const char *text)
{
	for (; text != NULL && *text != '\0'; text++) {
		switch (*text) {
		case '&':
			fputs("&amp;", file);
			break;
		case '<':
			fputs("&lt;", file);
			break;
		case '>':
			fputs("&gt;", file);
			break;
		case '"':
			fputs("&quot;", file);
			break;
		default:
			fputc(*text, file);
		}
	}
}

/* 0 at the low end of the axis, 1 at the high one; values outside are clamped. */
static double
part(const struct chart_axis *axis, double value)
{
	double at = axis->log
	    ? log(fmax(value, axis->low) / axis->low) / log(axis->high / axis->low)
	    : (value - axis->low) / (axis->high - axis->low);
	return fmin(1, fmax(0, at));
}

static double
to_x(const struct chart *chart, double value)
{
	return LEFT + part(&chart->x, value) * (CHART_WIDTH - LEFT - RIGHT);
}

static double
to_y(const struct chart *chart, double value)
{
	return CHART_HEIGHT - BOTTOM -
	    part(&chart->y, value) * (CHART_HEIGHT - TOP - BOTTOM);
}

void
chart_open(const struct chart *chart, const char *label)
{
	fprintf(chart->file, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"",
	    CHART_WIDTH, CHART_HEIGHT);
	chart_text(chart->file, label);
	fputs("\">\n", chart->file);
}

void
chart_close(const struct chart *chart)
{
	fprintf(chart->file,
	    "<path class=\"axis\" d=\"M%.1f %.1fV%.1fH%.1f\"/>\n</svg>\n", LEFT, TOP,
	    CHART_HEIGHT - BOTTOM, CHART_WIDTH - RIGHT);
}

void
chart_mark_x(const struct chart *chart, double value, const char *label)
{
	double x = to_x(chart, value);
	fprintf(chart->file,
	    "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/><text class=\"x\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">",
	    x, TOP, CHART_HEIGHT - BOTTOM, x, CHART_HEIGHT - BOTTOM + 17);
	chart_text(chart->file, label);
	fputs("</text>\n", chart->file);
}

void
chart_mark_y(const struct chart *chart, double value, const char *label)
{
	double y = to_y(chart, value);
	fprintf(chart->file,
	    "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/><text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">",
	    LEFT, y, CHART_WIDTH - RIGHT, LEFT - 8, y + 4);
	chart_text(chart->file, label);
	fputs("</text>\n", chart->file);
}

void
chart_line(const struct chart *chart, const struct chart_point *points, size_t count,
    int series, bool dashed)
{
	char command = 'M';
	if (count == 0)
		return;
	if (count == 1) {
		if (!isnan(points[0].y))
			chart_circle(chart, points[0], series, false);
		return;
	}
	fprintf(chart->file, "<path class=\"line s%d%s\" d=\"", series,
	    dashed ? " dashed" : "");
	for (size_t i = 0; i < count; i++) {
		if (isnan(points[i].y)) {
			command = 'M';
			continue;
		}
		fprintf(chart->file, "%c%.1f %.1f", command, to_x(chart, points[i].x),
		    to_y(chart, points[i].y));
		command = 'L';
	}
	fputs("\"/>\n", chart->file);
}

void
chart_event(const struct chart *chart, double x, const char *text)
{
	double at = to_x(chart, x), bottom = CHART_HEIGHT - BOTTOM;
	fprintf(chart->file, "<path class=\"event\" d=\"M%.1f %.1fl4 -9h-8z\"><title>",
	    at, bottom);
	chart_text(chart->file, text);
	fputs("</title></path>\n", chart->file);
}

void
chart_key(FILE *file, const char *const *names, size_t count)
{
	fputs("<div class=\"key\">", file);
	for (size_t i = 0; i < count; i++)
		if (names[i] != NULL)
			fprintf(file,
			    "<span><svg viewBox=\"0 0 18 8\" aria-hidden=\"true\"><path class=\"line s%zu\" d=\"M1 4L17 4\"/></svg>%s</span>",
			    i, names[i]);
	fputs("</div>\n", file);
}

void
chart_circle(const struct chart *chart, struct chart_point at, int series, bool is_bad)
{
	fprintf(chart->file,
	    "<circle class=\"point s%d%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>\n", series,
	    is_bad ? " failed" : "", to_x(chart, at.x), to_y(chart, at.y));
}

void
chart_band(const struct chart *chart, const struct chart_point *low,
    const struct chart_point *high, size_t count, int series)
{
	if (count < 2)
		return;
	fprintf(chart->file, "<path class=\"band s%d\" d=\"", series);
	for (size_t i = 0; i < count; i++)
		fprintf(chart->file, "%c%.1f %.1f", i == 0 ? 'M' : 'L',
		    to_x(chart, low[i].x), to_y(chart, low[i].y));
	for (size_t i = count; i > 0; i--)
		fprintf(chart->file, "L%.1f %.1f", to_x(chart, high[i - 1].x),
		    to_y(chart, high[i - 1].y));
	fputs("Z\"/>\n", chart->file);
}

void
chart_rectangle(const struct chart *chart, double x_low, double x_high, double y_low,
    double y_high, double opacity)
{
	double left = to_x(chart, x_low), top = to_y(chart, y_low);
	fprintf(chart->file,
	    "<rect class=\"fill\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" opacity=\"%.2g\"/>\n",
	    left, top, fmax(to_x(chart, x_high) - left, 0.5),
	    fmax(to_y(chart, y_high) - top, 0.5), opacity);
}

double
chart_step(const struct chart_axis *axis)
{
	double rough = (axis->high - axis->low) / MARKS;
	double power = pow(10, floor(log10(rough))), part_of = rough / power;
	if (axis->log)
		return 10;
	return power * (part_of < 1.5 ? 1 : part_of < 3.5 ? 2 : part_of < 7.5 ? 5 : 10);
}

struct chart_axis
chart_round(double low, double high, bool log)
{
	struct chart_axis axis = { .low = 0, .high = high > 0 ? high : 1, .log = log };
	double step;
	if (!log) {
		step = chart_step(&axis);
		axis.high = step * ceil(axis.high / step - 1e-9);
		return axis;
	}
	axis.low = pow(10, floor(log10(fmax(low, 1))));
	axis.high = pow(10, ceil(log10(fmax(high, axis.low * 1.01))));
	if (axis.high <= axis.low)
		axis.high = axis.low * 10;
	return axis;
}
