/* trend_text.h - trends as a table of 80 columns, and the sentences of both reports. */
#ifndef CLIENT_TREND_TREND_TEXT_H
#define CLIENT_TREND_TREND_TEXT_H

#include <stdio.h>

#include "lib/units.h"
#include "client/trend/trend.h"

#define TREND_LINE_MAX 512

void trend_text(const struct trend_group *group, FILE *file);

/* A value of a figure, into text[UNITS_TEXT_MAX], returned. */
const char *trend_text_value(
    const struct trend_figure *figure, double value, char *text);
/* The level that the latest run is compared with, and the value of the latest run; "-"
 * if it is not known. */
const char *trend_text_level(const struct trend_figure *figure, char *text);
const char *trend_text_latest(const struct trend_figure *figure, char *text);
/* The 95 % confidence interval of the latest run within itself; "-" likewise. */
const char *trend_text_low(const struct trend_figure *figure, char *text);
const char *trend_text_high(const struct trend_figure *figure, char *text);
/* The latest run against the level in percent ("-" if that is 0, or one is not known).
 */
const char *trend_text_difference(const struct trend_figure *figure, char *text);
/* "1.2 ms -> 1.55 ms (+29.2 %) from run 25, 2026-11-22 02:00 (r25.json)" */
const char *trend_text_change(const struct trend_group *group,
    const struct trend_figure *figure, size_t change, char line[TREND_LINE_MAX]);
/* "31 runs, 2026-10-29 02:00 to 2026-11-29 02:00 (UTC)" */
const char *trend_text_range(
    const struct trend_group *group, char line[TREND_LINE_MAX]);
/* Writes the n-th difference between the plans of the runs, "connections: 50 (12 runs),
 * 100 (3 runs)". False behind the last. */
bool trend_text_plan(
    const struct trend_group *group, size_t n, char line[TREND_LINE_MAX]);
/* The n-th label in which the runs differ, "arch: x86 (12 runs), arm (3 runs)". */
bool trend_text_label(
    const struct trend_group *group, size_t n, char line[TREND_LINE_MAX]);

#endif
