/*
 * survey_json.h - a survey as JSON ("yodel survey 1"), and the schema of it, which is
 * made from the tables of survey_rows.h.
 */
#ifndef CLIENT_SURVEY_RESULT_SURVEY_JSON_H
#define CLIENT_SURVEY_RESULT_SURVEY_JSON_H

#include <stdio.h>

#include "client/survey_result/survey_rows.h"

#define SURVEY_FORMAT "yodel survey 1"

/* 0, or -1 with errno. */
int survey_json_write(const struct survey_result *result, int exit_status, FILE *file)
    __attribute__((warn_unused_result));
int survey_json_write_schema(FILE *file) __attribute__((warn_unused_result));

#endif
