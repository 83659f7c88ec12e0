/* survey_html.h - a survey as one self-contained page: the rows with their evidence,
 * and the idle ladder drawn on a logarithmic axis of time. */
#ifndef CLIENT_SURVEY_SURVEY_HTML_H
#define CLIENT_SURVEY_SURVEY_HTML_H

#include <stdio.h>

#include "client/survey_result/survey_rows.h"

/* 0, or -1 with errno. */
int survey_html(const struct survey_result *result, FILE *file)
    __attribute__((warn_unused_result));

#endif
