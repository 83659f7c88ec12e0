/* report_tables.h - the tables of the page (report_html.c). Each function writes one
 * table with its heading, or nothing if there is nothing to show. */
#ifndef CLIENT_REPORT_REPORT_TABLES_H
#define CLIENT_REPORT_REPORT_TABLES_H

#include <stdio.h>

#include "client/result/result.h"

/* Start, duration, host, version, command line and labels. */
void report_tables_head(const struct result *result, FILE *file);
void report_tables_thresholds(const struct result *result, FILE *file);
/* The steps of --search. */
void report_tables_search(const struct result *result, FILE *file);
void report_tables_latencies(const struct result *result, FILE *file);
/* A row for each target. */
void report_tables_targets(const struct result *result, FILE *file);
/* A row for each server that answers of whoami name; without a heading. */
void report_tables_servers(const struct result *result, FILE *file);
void report_tables_ranks(const struct result *result, FILE *file);
void report_tables_plan(const struct result *result, FILE *file);
void report_tables_host(const struct result *result, FILE *file);

#endif
