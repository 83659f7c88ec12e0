/*
 * metric_series.h - series of Prometheus: single ones, and those of a struct by its
 * table of fields (lib/json/json_record.h).
 *
 * A count that only grows is a counter, any other number a gauge; a count for each of
 * several reasons has the label `reason`, counts of different things are families of
 * their own; times are seconds.
 */
#ifndef CLIENT_LIVE_METRIC_SERIES_H
#define CLIENT_LIVE_METRIC_SERIES_H

#include <stdio.h>

#include "lib/json/json_record.h"
#include "client/plan/labels.h"

#define METRIC_PREFIX "yodel_"
#define METRIC_NAME_MAX 160 /* bytes, NUL included */
#define METRIC_LABELS_MAX 3 /* beside those of the run */

struct metric_writer {
	FILE *out;
	char *labels; /* of the run: 'key="value",key="value"', or ""; heap */
};

struct metric_writer metric_writer_start(const struct labels *labels, FILE *out);
void metric_writer_finish(struct metric_writer *writer);

/* Labels of a series beside those of the run; a list ends with name NULL. */
struct metric_label {
	const char *name, *value;
};

/* `own` NULL: no label of its own. */
void metric_series(const struct metric_writer *writer, const char *name,
    const struct metric_label *own, double number);
void metric_series_labelled(const struct metric_writer *writer, const char *name,
    const char *label, const char *value, double number);

/* The rows of a list, each a series with its own labels; or one struct without. */
struct metric_rows {
	const void *items;
	size_t count, row_bytes;
	/* Pairs of a label and the field with its value; NULL at the end. */
	const char *const *labels;
	const struct json_record_field *fields; /* of the list */
	/* Rows with the labels of an earlier one, as of a target that is given twice:
	 * they have no series. NULL: none. */
	const bool *is_repeated;
};

/* Fills is_repeated[rows->count]. */
void metric_find_repeated(const struct metric_rows *rows, bool *is_repeated);

/* A family for each number, named by `prefix` and the field; texts have none. */
void metric_fields(const struct metric_writer *writer,
    const struct json_record_field *fields, const struct metric_rows *rows,
    const char *prefix);

#endif
