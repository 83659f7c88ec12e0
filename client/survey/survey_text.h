/*
 * survey_text.h - a survey as text of 80 columns.
 */
#ifndef CLIENT_SURVEY_SURVEY_TEXT_H
#define CLIENT_SURVEY_SURVEY_TEXT_H

#include <stdbool.h>
#include <stdio.h>

#include "client/survey_result/survey_rows.h"

/* Writes the rows and the sums. With is_verbose the evidence stands below each row. In
 * colour if file is a terminal, unless the environment has NO_COLOR. */
void survey_text(const struct survey_result *result, bool is_verbose, FILE *file);

/* The values of a row's evidence in one line, into buffer[size], returned. */
const char *survey_text_evidence(const struct survey_result *result,
    enum survey_row_id id, char *buffer, size_t size);

#endif
