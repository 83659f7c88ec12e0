/* report_evidence.h - the part of the page that shows the first cases of what went
 * wrong. */
#ifndef CLIENT_REPORT_REPORT_EVIDENCE_H
#define CLIENT_REPORT_REPORT_EVIDENCE_H

#include <stdio.h>

#include "client/result/result.h"

/* The first lost connections and wrong answers; nothing for none. */
void report_evidence(const struct result *result, FILE *file);

#endif
