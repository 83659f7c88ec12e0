/* text_tables.h - the tables of the text report. Each writes nothing if it has no rows.
 */
#ifndef CLIENT_REPORT_TEXT_TABLES_H
#define CLIENT_REPORT_TEXT_TABLES_H

#include <stdio.h>

#include "client/result/result.h"

/* Latencies, with their confidence intervals. */
void text_tables_latencies(const struct result *result, FILE *file);
/* A row for each of several targets. */
void text_tables_targets(const struct result *result, FILE *file);
/* A row for each host of a merged result. */
void text_tables_ranks(const struct result *result, FILE *file);

#endif
