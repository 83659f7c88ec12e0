/*
 * report_html.h - a result as one self-contained page with figures and SVG charts: no
 * script, no network.
 */
#ifndef CLIENT_REPORT_REPORT_HTML_H
#define CLIENT_REPORT_REPORT_HTML_H

#include <stdio.h>

#include "client/result/result.h"

/* 0, or -1 with errno when the file could not be written. */
int report_html(const struct result *result, FILE *file)
    __attribute__((warn_unused_result));

#endif
