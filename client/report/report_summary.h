/*
 * report_summary.h - the outcome of a run in sentences, for the text report and the
 * page.
 *
 * Each function writes at most REPORT_SUMMARY_MAX bytes, NUL included, to out and
 * returns it unless noted.
 */
#ifndef CLIENT_REPORT_REPORT_SUMMARY_H
#define CLIENT_REPORT_REPORT_SUMMARY_H

#include <stdbool.h>

#include "client/report/report_line.h"
#include "client/result/result.h"

#define REPORT_SUMMARY_MAX REPORT_LINE_MAX

/* The exit status in words: "ok: ...", or "FAILED: ..." with each thing that failed. */
const char *report_summary(const struct result *result, char *out);

/* Whether client and server counted the same, in which direction bytes are missing, and
 * whether the reported losses explain it; "" without a ledger. */
const char *report_summary_ledger(const struct result *result, char *out);

/* Which findings the server has injected on purpose; "" if it has injected no fault. */
const char *report_summary_faults(const struct result *result, char *out);

/* True if a finding is damage of the path: it is reported before everything else. */
bool report_summary_has_damage(const struct result *result);

/* One line about a finding that no fault explains. False when there is no such index.
 */
bool report_summary_finding(const struct result *result, size_t index, char *out);

/* One line about a server when there are several. False when there is no such index. */
bool report_summary_server(const struct result *result, size_t index, char *out);

#endif
