/*
 * chart.h - line charts as SVG in an HTML page, and text that is safe there.
 *
 * The colours are CSS classes: whoever writes the page says what .s0 to .s4 look like.
 */
#ifndef CLIENT_REPORT_CHART_H
#define CLIENT_REPORT_CHART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define CHART_WIDTH 860
#define CHART_HEIGHT 260

struct chart_axis {
	double low, high; /* low < high; above 0 when logarithmic */
	bool log;
};

struct chart_point {
	double x, y; /* a y of NAN is a gap */
};

struct chart {
	FILE *file;
	struct chart_axis x, y;
};

/* Text with & < > " written as entities; NULL is nothing. */
void chart_text(FILE *file, const char *text);

void chart_open(const struct chart *chart, const char *label);
void chart_close(const struct chart *chart);

/* A grid line with its label, at a value of the axis. */
void chart_mark_x(const struct chart *chart, double value, const char *label);
void chart_mark_y(const struct chart *chart, double value, const char *label);

/* A line through points in the order of x; dashed for what is not known for sure. */
void chart_line(const struct chart *chart, const struct chart_point *points,
    size_t count, int series, bool dashed);

/* The area between two lines of the same number of points. */
void chart_band(const struct chart *chart, const struct chart_point *low,
    const struct chart_point *high, size_t count, int series);

/* An axis around [low, high] that ends at round values, and its marks: calls mark for
 * each one. Linear: from 0. Logarithmic: powers of ten. */
struct chart_axis chart_round(double low, double high, bool log);
double chart_step(const struct chart_axis *axis);

#endif
