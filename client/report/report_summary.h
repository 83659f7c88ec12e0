/* report_summary.h - the exit status in words: what somebody who reads one line reads.
 */
#ifndef CLIENT_REPORT_REPORT_SUMMARY_H
#define CLIENT_REPORT_REPORT_SUMMARY_H

#include <stddef.h>

#include "client/result/result.h"

#define REPORT_SUMMARY_MAX 512

/* "ok: ...", or "FAILED: ..." with all that is missing, into out[REPORT_SUMMARY_MAX],
 * returned. */
const char *report_summary(const struct result *result, char *out);

#endif
