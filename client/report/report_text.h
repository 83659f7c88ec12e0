/* report_text.h - the text report: first what happened, then what it means. */
#ifndef CLIENT_REPORT_REPORT_TEXT_H
#define CLIENT_REPORT_REPORT_TEXT_H

#include <stdio.h>

#include "client/result/result.h"

/* The caller checks ferror(file). */
void report_text(const struct result *result, FILE *file);

#endif
