/* report_charts.h - the charts of the page that client/report/report_html.c writes. */
#ifndef CLIENT_REPORT_REPORT_CHARTS_H
#define CLIENT_REPORT_REPORT_CHARTS_H

#include <stdio.h>

#include "client/result/result.h"

/* Latency by percentile, dashed beyond what the sample supports. */
void report_charts_percentiles(const struct result *result, FILE *file);
/* Rate and latency over time. */
void report_charts_seconds(const struct result *result, FILE *file);
/* Connections and messages that failed, by reason, and the equation. */
void report_charts_losses(const struct result *result, FILE *file);

#endif
