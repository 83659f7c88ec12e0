/*
 * survey_compare.h - two surveys side by side: the rows that differ.
 *
 * Answers and other words must be the same; numbers may differ by SURVEY_COMPARE_COUNT
 * or, for measured times and rates, by SURVEY_COMPARE_REAL. Evidence is not compared.
 */
#ifndef CLIENT_SURVEY_RESULT_SURVEY_COMPARE_H
#define CLIENT_SURVEY_RESULT_SURVEY_COMPARE_H

#include <stdbool.h>
#include <stdio.h>

#define SURVEY_COMPARE_COUNT 0.05
#define SURVEY_COMPARE_REAL 0.25

/* True if the file is JSON of a survey; false also if it cannot be read. */
bool survey_compare_is_survey(const char *path);

/* Writes the rows that differ. 0, 65 or 66 after one line on stderr. *ret_worse: a row
 * of the second is marked that is not in the first. */
int survey_compare(const char *before, const char *after, FILE *file, bool *ret_worse)
    __attribute__((warn_unused_result));

#endif
