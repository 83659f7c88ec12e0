/* trend_html.h - trends as one self-contained HTML page. */
#ifndef CLIENT_TREND_TREND_HTML_H
#define CLIENT_TREND_TREND_HTML_H

#include <stdio.h>

#include "client/trend/trend.h"

/* 0, or -1 if writing failed. */
int trend_html(const struct trend_group *groups, size_t count, FILE *file)
    __attribute__((warn_unused_result));

#endif
