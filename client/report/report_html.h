/*
 * report_html.h - a result as one self-contained page with figures and SVG charts: no
 * script, no network. While a run goes on, the same page has a script that keeps it up
 * to date (client/live/live_server.h).
 */
#ifndef CLIENT_REPORT_REPORT_HTML_H
#define CLIENT_REPORT_REPORT_HTML_H

#include <stdio.h>

#include "client/result/result.h"

/* 0, or -1 with errno when the file could not be written. */
int report_html(const struct result *result, FILE *file)
    __attribute__((warn_unused_result));

/* The page of a run that goes on; `nonce` allows its style and script, `contents` were
 * made by report_html_main(). */
void report_html_live(
    const struct result *result, const char *contents, const char *nonce, FILE *file);
/* The contents of <main> alone. */
void report_html_main(const struct result *result, FILE *file);

#endif
