/* report_outcome.h - the exit status in words: what somebody who reads one line reads.
 */
#ifndef CLIENT_REPORT_OUTCOME_H
#define CLIENT_REPORT_OUTCOME_H

#include <stddef.h>

#include "client/result.h"

#define REPORT_OUTCOME_MAX 512

/* "ok: ...", or "FAILED: ..." with all that is missing, into out[REPORT_OUTCOME_MAX],
 * returned. */
const char *report_outcome(const struct result *result, char *out);

#endif
