/*
 * survey_threshold.h - a condition on a row of a survey.
 *
 *   threshold = name [ "." field ] op value
 *   op        = "=" | "<" | "<=" | ">" | ">="
 *
 *   idle>=300s  idle.server_first>=300s  half_closed>=120s  server_first<1s
 *   split=no  half_close=passed  reset=passed  source=kept  payload=unchanged
 *   mtu>=1500  mss>=1400  concurrent>=1k  rate>=100/s  keepalive=honoured
 *
 * With "=" and a word the row's answer counts, or the field's word; with a number the
 * field's number, without a field the row's main one. Of times of the idle ladder the
 * one that a connection survived counts. A row without that answer fails.
 */
#ifndef CLIENT_SURVEY_RESULT_SURVEY_THRESHOLD_H
#define CLIENT_SURVEY_RESULT_SURVEY_THRESHOLD_H

#include <stdbool.h>
#include <stddef.h>

#include "client/survey_result/survey_rows.h"

#define SURVEY_THRESHOLD_MAX 96

enum survey_threshold_op {
	SURVEY_IS,
	SURVEY_BELOW,
	SURVEY_AT_MOST,
	SURVEY_ABOVE,
	SURVEY_AT_LEAST,
};

struct survey_threshold {
	char text[SURVEY_THRESHOLD_MAX]; /* as given */
	const struct survey_field *field;
	enum survey_threshold_op op;
	char word[SURVEY_THRESHOLD_MAX]; /* "" with a number */
	double limit;                    /* in the unit of the field */
};

struct survey_threshold_outcome {
	struct survey_threshold threshold;
	bool passed, has_answer;
	char found[160]; /* the value with its unit, or why there is none */
};

/* 0, or -1 with one line in error: what was found, what was expected. */
int survey_threshold_parse(const char *text, struct survey_threshold *ret, char *error,
    size_t error_size) __attribute__((warn_unused_result));

struct survey_threshold_outcome survey_threshold_judge(
    const struct survey_threshold *threshold, const struct survey_result *result);

#endif
