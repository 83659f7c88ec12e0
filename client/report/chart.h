/*
 * chart.h - line charts as inline SVG, and escaped text for HTML.
 *
 * Colours are the CSS classes .s0 to .s4, which the page defines.
 */
#ifndef CLIENT_REPORT_CHART_H
#define CLIENT_REPORT_CHART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define CHART_WIDTH 540
#define CHART_HEIGHT 260

struct chart_axis {
	double low, high; /* low < high; above 0 when logarithmic */
	bool log;
};

struct chart_point {
	double x, y; /* y NAN: a gap in the line */
};

struct chart {
	FILE *file;
	struct chart_axis x, y;
};

/* Writes text with & < > " as entities; NULL writes nothing. */
void chart_text(FILE *file, const char *text);

void chart_open(const struct chart *chart, const char *label);
void chart_close(const struct chart *chart);

/* A labelled grid line. */
void chart_mark_x(const struct chart *chart, double value, const char *label);
void chart_mark_y(const struct chart *chart, double value, const char *label);

/* A line through points in the order of x. */
void chart_line(const struct chart *chart, const struct chart_point *points,
    size_t count, int series, bool dashed);

/* The names of the lines beside their colours; names[i] NULL: that line is not drawn.
 */
void chart_key(FILE *file, const char *const *names, size_t count);

/* A mark on the x axis with a text that a browser shows beside it. */
void chart_event(const struct chart *chart, double x, const char *text);

/* A circle; `is_bad`: in the colour of failures. */
void chart_circle(
    const struct chart *chart, struct chart_point at, int series, bool is_bad);

/* The area between two lines of the same number of points. */
void chart_band(const struct chart *chart, const struct chart_point *low,
    const struct chart_point *high, size_t count, int series);

/* A filled rectangle between values of both axes; opacity from 0 to 1. */
void chart_rectangle(const struct chart *chart, double x_low, double x_high,
    double y_low, double y_high, double opacity);

/* An axis that covers [low, high] and ends at round values: linear from 0, logarithmic
 * at powers of ten. chart_step() is the distance (linear) or factor between its marks.
 */
struct chart_axis chart_round(double low, double high, bool log);
double chart_step(const struct chart_axis *axis);

#endif
