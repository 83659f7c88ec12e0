/*
 * report_tls.h - TLS in both reports: what was verified and negotiated, why connections
 * failed, the certificates of the targets.
 *
 * Each function writes one line to out[REPORT_LINE_MAX]; "" if there is nothing to say.
 */
#ifndef CLIENT_REPORT_REPORT_TLS_H
#define CLIENT_REPORT_REPORT_TLS_H

#include <stdbool.h>

#include "client/report/report_line.h"
#include "client/result/result.h"

/* How certificates are verified. Returns out. */
const char *report_tls_verification(const struct result *result, char *out);

/* The lines that follow, in order. False behind the last one. */
bool report_tls_line(const struct result *result, size_t index, char *out);

#endif
