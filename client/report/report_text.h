/* report_text.h - the report that a person reads at a glance. */
#ifndef CLIENT_REPORT_REPORT_TEXT_H
#define CLIENT_REPORT_REPORT_TEXT_H

#include <stdio.h>

#include "client/result/result.h"

/* Errors stay in ferror(file). */
void report_text(const struct result *result, FILE *file);

#endif
