/*
 * report_html.h - one page that needs nothing beside it: no network, no script. What a
 * result found, as figures and as charts in SVG.
 */
#ifndef CLIENT_REPORT_REPORT_HTML_H
#define CLIENT_REPORT_REPORT_HTML_H

#include <stdio.h>

#include "client/result/result.h"

/* 0, or -1 with errno when the file could not be written. */
int report_html(const struct result *result, FILE *file)
    __attribute__((warn_unused_result));

#endif
