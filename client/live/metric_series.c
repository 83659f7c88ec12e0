#include "client/live/metric_series.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/prometheus.h"
#include "lib/xmalloc.h"
#include "client/live/metric_help.h"

/* A value of a label, with the escapes of the format. */
static void
put_escaped(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\n') {
			fputs("\\n", out);
			continue;
		}
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
}

static char *
format_labels(const struct labels *labels)
{
	char *text = NULL;
	size_t size;
	FILE *out = xmalloc_check(open_memstream(&text, &size));
	for (size_t i = 0; i < labels->count; i++) {
		fprintf(out, "%s%s=\"", i > 0 ? "," : "", labels->items[i].key);
		put_escaped(out, labels->items[i].value);
		fputc('"', out);
	}
	if (fclose(out) != 0)
		xmalloc_fail();
	return text;
}

struct metric_writer
metric_writer_start(const struct labels *labels, FILE *out)
{
	return (struct metric_writer){ out, format_labels(labels) };
}

void
metric_writer_finish(struct metric_writer *writer)
{
	free(writer->labels);
}

/* Opens a series: its name and labels, up to the space before the number. */
static void
put_name(const struct metric_writer *writer, const char *name,
    const struct metric_label *own)
{
	const char *before = "{";
	fputs(name, writer->out);
	if (writer->labels[0] != '\0') {
		fprintf(writer->out, "{%s", writer->labels);
		before = ",";
	}
	for (; own != NULL && own->name != NULL; own++) {
		fprintf(writer->out, "%s%s=\"", before, own->name);
		put_escaped(writer->out, own->value);
		fputc('"', writer->out);
		before = ",";
	}
	fputs(*before == ',' ? "} " : " ", writer->out);
}

void
metric_series(const struct metric_writer *writer, const char *name,
    const struct metric_label *own, double number)
{
	put_name(writer, name, own);
	fprintf(writer->out, "%.15g\n", number);
}

void
metric_series_labelled(const struct metric_writer *writer, const char *name,
    const char *label, const char *value, double number)
{
	const struct metric_label own[] = { { label, value }, { NULL, NULL } };
	metric_series(writer, name, own, number);
}

static bool
ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), own = strlen(end);
	return length >= own && strcmp(text + length - own, end) == 0;
}

/* A name of the JSON as that of a metric: units in full. */
static void
make_name(
    char out[METRIC_NAME_MAX], const char *prefix, const char *name, bool is_counter)
{
	static const struct {
		const char *end, *unit;
	} units[] = { { "_per_s", "_per_second" }, { "_ns", "_seconds" },
		{ "_s", "_seconds" } };
	size_t length = strlen(name);
	const char *unit = "";
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (ends_with(name, units[i].end)) {
			length -= strlen(units[i].end);
			unit = units[i].unit;
			break;
		}
	snprintf(out, METRIC_NAME_MAX, "%s_%.*s%s%s", prefix, (int)length, name, unit,
	    is_counter ? "_total" : "");
}

/* Sums that do not only grow during a run. */
static bool
is_gauge(const char *prefix, const char *name)
{
	static const char *const names[] = { "requested", "in_flight", "cpus",
		"outside_addresses" };
	if (strcmp(prefix, METRIC_PREFIX "ports") == 0)
		return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static const void *
row_at(const struct metric_rows *rows, size_t index)
{
	return (const char *)rows->items + index * rows->row_bytes;
}

static const struct json_record_field *
find_field(const struct json_record_field *fields, const char *name)
{
	while (strcmp(fields->name, name) != 0)
		fields++;
	return fields;
}

/* Texts, flags and numbers may be labels. */
static const char *
label_value(const struct json_record_field *field, const void *row, char buffer[24])
{
	if (field->kind == JSON_RECORD_TEXT)
		return *JSON_RECORD_AT(field, row, char *const);
	if (field->kind == JSON_RECORD_FLAG)
		return *JSON_RECORD_AT(field, row, const bool) ? "true" : "false";
	snprintf(buffer, 24, "%llu",
	    (unsigned long long)*JSON_RECORD_AT(field, row, const uint64_t));
	return buffer;
}

/* Fills the labels of a row, and the end of the list after one that may be added. */
static size_t
fill_labels(const struct metric_rows *rows, size_t index,
    struct metric_label own[METRIC_LABELS_MAX + 1], char buffer[24])
{
	size_t count = 0;
	for (; rows->labels != NULL && rows->labels[2 * count] != NULL; count++)
		own[count] = (struct metric_label){ rows->labels[2 * count],
			label_value(
			    find_field(rows->fields, rows->labels[2 * count + 1]),
			    row_at(rows, index), buffer) };
	own[count] = own[count + 1] = (struct metric_label){ NULL, NULL };
	return count;
}

static bool
have_same_labels(const struct metric_rows *rows, size_t a, size_t b)
{
	struct metric_label x[METRIC_LABELS_MAX + 1], y[METRIC_LABELS_MAX + 1];
	char buffers[2][24];
	size_t count = fill_labels(rows, a, x, buffers[0]);
	fill_labels(rows, b, y, buffers[1]);
	for (size_t i = 0; i < count; i++)
		if (strcmp(x[i].value, y[i].value) != 0)
			return false;
	return true;
}

void
metric_find_repeated(const struct metric_rows *rows, bool *is_repeated)
{
	for (size_t i = 0; i < rows->count; i++) {
		is_repeated[i] = false;
		for (size_t j = 0; j < i && !is_repeated[i]; j++)
			is_repeated[i] = have_same_labels(rows, i, j);
	}
}

static bool
is_left_out(const struct metric_rows *rows, size_t index)
{
	return rows->is_repeated != NULL && rows->is_repeated[index];
}

static bool
is_label(const struct metric_rows *rows, const char *name)
{
	for (size_t i = 0; rows->labels != NULL && rows->labels[i] != NULL; i += 2)
		if (strcmp(rows->labels[i + 1], name) == 0)
			return true;
	return false;
}

static double
number_of(const struct json_record_field *field, const void *row)
{
	double scale = ends_with(field->name, "_ns") ? 1e-9 : 1;
	switch (field->kind) {
	case JSON_RECORD_COUNT:
		return (double)*JSON_RECORD_AT(field, row, const uint64_t) * scale;
	case JSON_RECORD_REAL:
		return *JSON_RECORD_AT(field, row, const double);
	case JSON_RECORD_FLAG:
		return *JSON_RECORD_AT(field, row, const bool) ? 1 : 0;
	default:
		return NAN;
	}
}

/* Counts of different things, which have no sum: each is a family of its own. */
static bool
is_apart(const struct json_record_field *field)
{
	return field->kind == JSON_RECORD_COUNTS && strcmp(field->name, "sockets") == 0;
}

static void
write_apart(const struct metric_writer *writer, const struct json_record_field *field,
    const struct metric_rows *rows, const char *prefix)
{
	char own[METRIC_NAME_MAX];
	struct json_record_field each[] = { *field, { .name = NULL } };
	snprintf(own, sizeof(own), "%s_%s", prefix, field->name);
	each[0].kind = JSON_RECORD_COUNT;
	for (size_t i = 0; field->names[i] != NULL; i++) {
		each[0].name = field->names[i];
		each[0].offset = field->offset + i * sizeof(uint64_t);
		metric_fields(writer, each, rows, own);
	}
}

static void
write_counts(const struct metric_writer *writer, const struct json_record_field *field,
    const struct metric_rows *rows, const char *name)
{
	struct metric_label own[METRIC_LABELS_MAX + 1];
	char buffer[24];
	for (size_t r = 0; r < rows->count; r++) {
		if (is_left_out(rows, r))
			continue;
		const uint64_t *counts =
		    JSON_RECORD_AT(field, row_at(rows, r), const uint64_t);
		size_t last = fill_labels(rows, r, own, buffer);
		for (size_t i = 0; field->names[i] != NULL; i++) {
			own[last] = (struct metric_label){ "reason", field->names[i] };
			metric_series(writer, name, own, (double)counts[i]);
		}
	}
}

static void
write_part(const struct metric_writer *writer, const struct json_record_field *field,
    const struct metric_rows *rows, const char *prefix)
{
	char name[METRIC_NAME_MAX];
	const struct metric_rows own = {
		.items = (const char *)rows->items + field->offset, .count = 1
	};
	snprintf(name, sizeof(name), "%s_%s", prefix, field->name);
	metric_fields(writer, field->part, &own, name);
}

static void
write_field(const struct metric_writer *writer, const struct json_record_field *field,
    const struct metric_rows *rows, const char *prefix)
{
	struct metric_label own[METRIC_LABELS_MAX + 1];
	char name[METRIC_NAME_MAX], help[256], buffer[24];
	if (is_apart(field)) {
		write_apart(writer, field, rows, prefix);
		return;
	}
	bool is_top = strlen(prefix) < strlen(METRIC_PREFIX);
	bool is_count =
	    field->kind == JSON_RECORD_COUNT || field->kind == JSON_RECORD_COUNTS;
	bool is_counter =
	    is_count && field->sum == JSON_RECORD_SUM && !is_gauge(prefix, field->name);
	make_name(name, prefix, field->name, is_counter);
	snprintf(help, sizeof(help), "%s%s%s in the JSON result",
	    is_top ? "" : prefix + strlen(METRIC_PREFIX), is_top ? "" : ".",
	    field->name);
	const char *own_help = metric_help(name);
	prometheus_family(writer->out, name, is_counter ? "counter" : "gauge",
	    own_help != NULL ? own_help : help);
	if (field->kind == JSON_RECORD_COUNTS) {
		write_counts(writer, field, rows, name);
		return;
	}
	for (size_t r = 0; r < rows->count; r++) {
		if (is_left_out(rows, r))
			continue;
		fill_labels(rows, r, own, buffer);
		metric_series(writer, name, own, number_of(field, row_at(rows, r)));
	}
}

/* Texts have no metric. */
void
metric_fields(const struct metric_writer *writer,
    const struct json_record_field *fields, const struct metric_rows *rows,
    const char *prefix)
{
	for (const struct json_record_field *f = fields; f->name != NULL; f++) {
		if (is_label(rows, f->name))
			continue;
		switch (f->kind) {
		case JSON_RECORD_PART:
			write_part(writer, f, rows, prefix);
			break;
		case JSON_RECORD_COUNT:
		case JSON_RECORD_REAL:
		case JSON_RECORD_FLAG:
		case JSON_RECORD_COUNTS:
			write_field(writer, f, rows, prefix);
			break;
		default:
			break;
		}
	}
}
