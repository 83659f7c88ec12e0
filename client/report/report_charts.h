/* report_charts.h - the charts of the page (report_html.c). */
#ifndef CLIENT_REPORT_REPORT_CHARTS_H
#define CLIENT_REPORT_REPORT_CHARTS_H

#include <stdio.h>

#include "client/result/result.h"

/* Rate, latency and open connections over time; latency by percentile, dotted where
 * there are too few samples. */
void report_charts(const struct result *result, FILE *file);
/* The sum of messages; lost messages and failed connections by reason. */
void report_charts_losses(const struct result *result, FILE *file);

#endif
