#include "client/live/live_metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/prometheus.h"
#include "lib/xmalloc.h"
#include "client/result/result_fields.h"
#include "client/result/verdict.h"

#define PREFIX "yodel_"
#define NAME_MAX_BYTES 160

/* Upper bounds of the buckets of a latency, in ns: from 10 us to 60 s. */
static const uint64_t buckets[] = { 10000, 25000, 50000, 100000, 250000, 500000,
	1000000, 2500000, 5000000, 10000000, 25000000, 50000000, 100000000, 250000000,
	500000000, 1000000000, 2500000000, 5000000000, 10000000000, 30000000000,
	60000000000 };
#define BUCKET_COUNT (sizeof(buckets) / sizeof(buckets[0]))

struct writer {
	FILE *out;
	char *labels; /* of the run: 'key="value",key="value"', or "" */
};

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

/* One series; `label` and `value` are NULL if it has no label of its own. */
static void
put_series(const struct writer *writer, const char *name, const char *label,
    const char *value, double number)
{
	bool has_labels = writer->labels[0] != '\0' || label != NULL;
	fputs(name, writer->out);
	if (has_labels)
		fprintf(writer->out, "{%s%s", writer->labels,
		    writer->labels[0] != '\0' && label != NULL ? "," : "");
	if (label != NULL) {
		fprintf(writer->out, "%s=\"", label);
		put_escaped(writer->out, value);
		fputc('"', writer->out);
	}
	fprintf(writer->out, "%s %.15g\n", has_labels ? "}" : "", number);
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
    char out[NAME_MAX_BYTES], const char *prefix, const char *name, bool is_counter)
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
	snprintf(out, NAME_MAX_BYTES, "%s_%.*s%s%s", prefix, (int)length, name, unit,
	    is_counter ? "_total" : "");
}

/* Sums that do not only grow during a run. */
static bool
is_gauge(const char *prefix, const char *name)
{
	static const char *const names[] = { "requested", "in_flight", "cpus",
		"outside_addresses" };
	if (strcmp(prefix, PREFIX "ports") == 0)
		return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* The rows of a list have one series each, with their first text as a label; a single
 * struct has label NULL. */
struct rows {
	const char *label;
	const char *const *names; /* values of the label */
	const void *const *rows;
	size_t count;
};

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

static void
write_counts(const struct writer *writer, const struct json_record_field *field,
    const struct rows *rows, const char *name)
{
	for (size_t r = 0; r < rows->count; r++) {
		const uint64_t *counts =
		    JSON_RECORD_AT(field, rows->rows[r], const uint64_t);
		for (size_t i = 0; field->names[i] != NULL; i++) {
			if (rows->label == NULL) {
				put_series(writer, name, "reason", field->names[i],
				    (double)counts[i]);
				continue;
			}
			fprintf(writer->out, "%s{%s%s%s=\"", name, writer->labels,
			    writer->labels[0] != '\0' ? "," : "", rows->label);
			put_escaped(writer->out, rows->names[r]);
			fprintf(writer->out, "\",reason=\"%s\"} %.15g\n",
			    field->names[i], (double)counts[i]);
		}
	}
}

static void write_fields(const struct writer *writer,
    const struct json_record_field *fields, const struct rows *rows,
    const char *prefix);

static void
write_part(const struct writer *writer, const struct json_record_field *field,
    const struct rows *rows, const char *prefix)
{
	char name[NAME_MAX_BYTES];
	const void *part = (const char *)rows->rows[0] + field->offset;
	const struct rows own = { .rows = &part, .count = 1 };
	snprintf(name, sizeof(name), "%s_%s", prefix, field->name);
	write_fields(writer, field->part, &own, name);
}

static void
write_field(const struct writer *writer, const struct json_record_field *field,
    const struct rows *rows, const char *prefix)
{
	char name[NAME_MAX_BYTES], help[256];
	bool is_top = strlen(prefix) < strlen(PREFIX);
	bool is_count =
	    field->kind == JSON_RECORD_COUNT || field->kind == JSON_RECORD_COUNTS;
	bool is_counter =
	    is_count && field->sum == JSON_RECORD_SUM && !is_gauge(prefix, field->name);
	make_name(name, prefix, field->name, is_counter);
	snprintf(help, sizeof(help), "%s%s%s in the JSON result",
	    is_top ? "" : prefix + strlen(PREFIX), is_top ? "" : ".", field->name);
	prometheus_family(writer->out, name, is_counter ? "counter" : "gauge", help);
	if (field->kind == JSON_RECORD_COUNTS) {
		write_counts(writer, field, rows, name);
		return;
	}
	for (size_t r = 0; r < rows->count; r++)
		put_series(writer, name, rows->label,
		    rows->label != NULL ? rows->names[r] : NULL,
		    number_of(field, rows->rows[r]));
}

/* Texts have no metric. */
static void
write_fields(const struct writer *writer, const struct json_record_field *fields,
    const struct rows *rows, const char *prefix)
{
	for (const struct json_record_field *f = fields; f->name != NULL; f++)
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

/* All of the result but the plan, which does not change. */
static void
write_result(const struct writer *writer, const struct result *result)
{
	const void *row = result;
	const struct rows all = { .rows = &row, .count = 1 };
	for (const struct json_record_field *f = result_fields; f->name != NULL; f++) {
		const struct json_record_field own[] = { *f, { .name = NULL } };
		if (f->part != result_plan_fields)
			write_fields(writer, own, &all, "yodel");
	}
}

/* A list of which each row begins with its name. */
static void
write_list(const struct writer *writer, const char *label, const void *items,
    size_t count, size_t row_bytes, const struct json_record_field *fields)
{
	const void **rows = xcalloc(count, sizeof(rows[0]));
	const char **names = xcalloc(count, sizeof(names[0]));
	char prefix[NAME_MAX_BYTES];
	for (size_t i = 0; i < count; i++) {
		rows[i] = (const char *)items + i * row_bytes;
		memcpy(&names[i], rows[i], sizeof(names[i]));
	}
	const struct rows all = { label, names, rows, count };
	snprintf(prefix, sizeof(prefix), PREFIX "%s", label);
	if (count > 0)
		write_fields(writer, fields, &all, prefix);
	free(rows);
	free(names);
}

static void
write_histogram(const struct writer *writer, const char *name, const char *label,
    const char *value, const struct histogram *h)
{
	char own[2 * NAME_MAX_BYTES];
	struct histogram_cursor cursor = { 0 };
	uint64_t below = 0;
	bool more = histogram_next(h, &cursor);
	for (size_t i = 0; i <= BUCKET_COUNT; i++) {
		bool is_last = i == BUCKET_COUNT;
		while (more && (is_last || cursor.value <= buckets[i])) {
			below = cursor.cumulative;
			more = histogram_next(h, &cursor);
		}
		fprintf(writer->out, "%s_bucket{%s%s%s=\"", name, writer->labels,
		    writer->labels[0] != '\0' ? "," : "", label);
		put_escaped(writer->out, value);
		if (is_last)
			snprintf(own, sizeof(own), "+Inf");
		else
			snprintf(own, sizeof(own), "%.12g", (double)buckets[i] / 1e9);
		fprintf(writer->out, "\",le=\"%s\"} %llu\n", own,
		    (unsigned long long)below);
	}
	snprintf(own, sizeof(own), "%s_sum", name);
	put_series(writer, own, label, value, histogram_mean(h) * (double)below / 1e9);
	snprintf(own, sizeof(own), "%s_count", name);
	put_series(writer, own, label, value, (double)below);
}

static void
write_latencies(const struct writer *writer, const struct result *result)
{
	prometheus_family(writer->out, PREFIX "latency_seconds", "histogram",
	    "latencies of the measured messages and of connections");
	for (int i = 0; i < LATENCY_KIND_COUNT; i++)
		write_histogram(writer, PREFIX "latency_seconds", "latency",
		    threshold_latency_names[i], result->latency[i]);
	if (result->step_count == 0)
		return;
	prometheus_family(writer->out, PREFIX "step_latency_seconds", "histogram",
	    "latencies by the step of a conversation, or by server");
	for (size_t i = 0; i < result->step_count; i++)
		write_histogram(writer, PREFIX "step_latency_seconds", "step",
		    result->steps[i], result->latency[LATENCY_STEP_FIRST + i]);
}

static void
write_gauge(
    const struct writer *writer, const char *name, const char *help, double value)
{
	prometheus_family(writer->out, name, "gauge", help);
	put_series(writer, name, NULL, NULL, value);
}

static void
write_verdict(const struct writer *writer, const struct live_snapshot *snapshot)
{
	const struct result *result = snapshot->result;
	static const char verdict[] = PREFIX "trust_verdict", phase[] = PREFIX "phase",
			  passed[] = PREFIX "threshold_passed";
	prometheus_family(
	    writer->out, verdict, "gauge", "1 for the trust in the measurement so far");
	for (int i = 0; result_verdict_names[i] != NULL; i++)
		put_series(writer, verdict, "verdict", result_verdict_names[i],
		    (int)result->trust.verdict == i);
	prometheus_family(
	    writer->out, phase, "gauge", "1 for the phase that the run is in");
	for (int i = 0; i < LIVE_PHASE_COUNT; i++)
		put_series(writer, phase, "phase", live_phase_names[i],
		    (int)snapshot->phase == i);
	if (result->threshold_count > 0)
		prometheus_family(
		    writer->out, passed, "gauge", "1 if the threshold is met so far");
	for (size_t i = 0; i < result->threshold_count; i++)
		put_series(writer, passed, "threshold",
		    result->thresholds[i].threshold.text, result->thresholds[i].passed);
	write_gauge(writer, PREFIX "exit_status",
	    "exit status that the figures so far lead to", verdict_exit_status(result));
}

static void
write_ledger(const struct writer *writer, const struct result *result)
{
	const void *row = &result->ledger;
	const struct rows all = { .rows = &row, .count = 1 };
	/* "server" and "client" are parts; the flag and the rest are gauges. */
	if (result->has_ledger)
		write_fields(writer, result_ledger_fields, &all, PREFIX "ledger");
}

void
live_metrics_write(const struct live_snapshot *snapshot, FILE *out)
{
	const struct result *result = snapshot->result;
	struct writer writer = { out, format_labels(&result->labels) };
	prometheus_family(out, PREFIX "build_info", "gauge", "1, with the version");
	put_series(&writer, PREFIX "build_info", "yodel_version", YODEL_VERSION, 1);
	write_gauge(&writer, PREFIX "connections_open", "open connections",
	    (double)snapshot->connections_open);
	write_result(&writer, result);
	write_list(&writer, "target", result->targets, result->target_count,
	    sizeof(result->targets[0]), result_target_fields);
	write_list(&writer, "server", result->servers, result->server_count,
	    sizeof(result->servers[0]), result_server_fields);
	write_latencies(&writer, result);
	write_ledger(&writer, result);
	write_verdict(&writer, snapshot);
	free(writer.labels);
}
