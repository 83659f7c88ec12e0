/* Reads the JSON that client/result/result_write.c writes. A missing number, text or
 * flag is 0, "" or false; a value of another type is an error. */
#include <sys/stat.h>

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "lib/json/json_load.h"
#include "lib/json/json_reader.h"
#include "lib/log.h"
#include "lib/stats/histogram_codec.h"
#include "lib/xmalloc.h"
#include "client/result/result.h"
#include "client/result/result_fields.h"

#define WRONG_CONFIG "expected a histogram of 1 ns to 1 h, 3 digits"
#define SECONDS_MAX 18446744072 /* in nanoseconds the most that 64 bits hold */

/* Restores the exact extremes, which the encoded histogram rounds. */
static void
set_ends(struct histogram *h, uint64_t min, uint64_t max, uint64_t dropped)
{
	if (histogram_count(h) == 0 || min > max)
		return;
	if (histogram_lowest_equivalent(h, min) ==
	    histogram_lowest_equivalent(h, h->min))
		h->min = min;
	if (histogram_lowest_equivalent(h, max) ==
	    histogram_lowest_equivalent(h, h->max))
		h->max = max;
	h->dropped = dropped;
}

/* NULL after json_reader_fail(). */
static struct histogram *
read_histogram(struct json_reader *reader, const json_t *hdr, const char *where)
{
	const char *error = "expected a histogram as text";
	struct histogram *h = NULL;
	errno = 0;
	if (json_is_string(hdr))
		h = histogram_codec_decode(json_string_value(hdr), &error);
	if (h == NULL && errno == ENOMEM)
		json_reader_fail_memory(reader, where, "hdr");
	else if (h == NULL)
		json_reader_fail(reader, where, "hdr", error);
	return h;
}

static void
read_latency(struct json_reader *reader, const json_t *from, const char *name,
    struct histogram *into)
{
	if (from != NULL && json_object_get(from, name) == NULL)
		return; /* the file is older than this latency */
	const json_t *one =
	    json_reader_member(reader, from, "latency", name, JSON_OBJECT);
	if (reader->failed)
		return;
	struct histogram *h = read_histogram(reader, json_object_get(one, "hdr"), name);
	if (h == NULL)
		return;
	set_ends(h, json_reader_count(reader, one, name, "min_ns"),
	    json_reader_count(reader, one, name, "max_ns"),
	    json_reader_count(reader, one, name, "dropped"));
	if (histogram_add(into, h) < 0)
		json_reader_fail(reader, name, "hdr", WRONG_CONFIG);
	free(h);
}

/* A real number, or NAN. */
static double
read_real(const json_t *from, const char *name)
{
	const json_t *number = json_object_get(from, name);
	double value = json_is_number(number) ? json_number_value(number) : NAN;
	return value >= 0 && value <= RESULT_FIGURE_MAX ? value : NAN;
}

/* Results without it have no intervals. */
static void
read_precision(struct json_reader *reader, const json_t *latency, const char *name,
    struct result_precision *ret)
{
	const json_t *one =
	    json_object_get(json_object_get(latency, name), "uncertainty");
	if (one != NULL && !json_is_object(one))
		json_reader_fail(reader, name, "uncertainty", "expected an object");
	for (size_t i = 0; i < RESULT_PERCENTILES; i++) {
		const json_t *p = json_object_get(one, result_percentile_names[i]);
		struct precision found = { read_real(p, "effective_count"),
			read_real(p, "degrees") };
		if (found.effective > 0 && found.degrees >= 1)
			ret->percentiles[i] = found;
	}
	ret->mean_half_ns = read_real(one, "mean_half_ns");
}

static int
verdict_of(const char *name)
{
	for (int i = 0; result_verdict_names[i] != NULL; i++)
		if (strcmp(name, result_verdict_names[i]) == 0)
			return i;
	return -1;
}

static void
read_trust(struct json_reader *reader, const json_t *from, struct result_trust *ret)
{
	char *verdict = json_reader_text(reader, from, "trust", "verdict");
	json_record_read(result_trust_fields, reader, from, "trust", ret);
	if (verdict == NULL || verdict_of(verdict) < 0)
		json_reader_fail(
		    reader, "trust", "verdict", "expected valid, suspect or invalid");
	else
		ret->verdict = (enum result_verdict)verdict_of(verdict);
	free(verdict);
}

/* "2026-01-02T03:04:05.000000006Z" */
static uint64_t
read_time(struct json_reader *reader, const json_t *from, const char *key)
{
	char *given = json_reader_text(reader, from, "", key);
	struct tm parts = { 0 };
	const char *rest =
	    given == NULL ? NULL : strptime(given, "%Y-%m-%dT%H:%M:%S", &parts);
	time_t seconds = timegm(&parts);
	double fraction = rest != NULL && *rest == '.' ? strtod(rest, NULL) : 0;
	if (rest == NULL || seconds < 0 || seconds > SECONDS_MAX || !(fraction < 1)) {
		json_reader_fail(reader, "", key, "expected an RFC 3339 time in UTC");
		seconds = 0;
		fraction = 0;
	}
	free(given);
	return (uint64_t)seconds * 1000000000u + (uint64_t)llround(fraction * 1e9);
}

static uint32_t
read_hex(const char *from, uint8_t *to)
{
	uint32_t length = 0;
	unsigned int byte;
	while (length < COUNTERS_EXCERPT_MAX && strlen(from) >= 2 &&
	    sscanf(from, "%2x", &byte) == 1) {
		to[length++] = (uint8_t)byte;
		from += 2;
	}
	return length;
}

static void
read_mismatch(
    struct json_reader *reader, const json_t *from, struct counters_mismatch *ret)
{
	static const char where[] = "mismatches";
	char *looks = json_reader_text(reader, from, where, "looks_like");
	char *expected = json_reader_text(reader, from, where, "expected");
	char *got = json_reader_text(reader, from, where, "got");
	char *at = json_reader_text(reader, from, where, "at");
	char *local = json_reader_text(reader, from, where, "local");
	char *step = json_reader_text(reader, from, where, "step");
	char *description = json_reader_text(reader, from, where, "description");
	uint64_t line = json_reader_count(reader, from, where, "line");
	ret->connection = json_reader_count(reader, from, where, "connection");
	ret->message = json_reader_count(reader, from, where, "message");
	ret->offset = json_reader_count(reader, from, where, "offset");
	ret->answer_offset = json_reader_count(reader, from, where, "answer_offset");
	if (!reader->failed) {
		snprintf(ret->looks_like, sizeof(ret->looks_like), "%s", looks);
		snprintf(ret->at, sizeof(ret->at), "%s", at);
		snprintf(ret->step, sizeof(ret->step), "%s", step);
		snprintf(ret->description, sizeof(ret->description), "%s", description);
		ret->line = line < UINT32_MAX ? (uint32_t)line : UINT32_MAX;
		snprintf(ret->local, sizeof(ret->local), "%s", local);
		ret->expected_length = read_hex(expected, ret->expected);
		ret->got_length = read_hex(got, ret->got);
	}
	free(looks);
	free(expected);
	free(got);
	free(at);
	free(local);
	free(step);
	free(description);
}

static void
read_threshold(
    struct json_reader *reader, const json_t *from, struct threshold_outcome *ret)
{
	char *given = json_reader_text(reader, from, "thresholds", "threshold");
	char error[RESULT_ERROR_MAX];
	if (given != NULL &&
	    threshold_parse(given, &ret->threshold, error, sizeof(error)) < 0)
		json_reader_fail(reader, "", "thresholds", error);
	ret->value = json_reader_real_or_null(reader, from, "thresholds", "value");
	ret->passed = json_reader_flag(reader, from, "thresholds", "passed");
	ret->known = json_reader_flag(reader, from, "thresholds", "known");
	free(given);
}

/* Without a histogram: the only target, or of an earlier version. */
static void
read_target(struct json_reader *reader, const json_t *from, struct result_target *ret)
{
	static const char where[] = "targets";
	const json_t *hdr = json_object_get(from, "hdr");
	json_record_read(result_target_fields, reader, from, where, ret);
	if (reader->failed || hdr == NULL)
		return;
	struct histogram *h = read_histogram(reader, hdr, where);
	if (h == NULL)
		return;
	ret->response = xmalloc_check(histogram_create(&counters_latency_config));
	if (histogram_add(ret->response, h) < 0)
		json_reader_fail(reader, where, "hdr", WRONG_CONFIG);
	free(h);
}

static void
read_row(const struct result_list *list, struct json_reader *reader, const json_t *from,
    void *row)
{
	switch (list->row) {
	case RESULT_RECORD:
		json_record_read(list->fields, reader, from, list->name, row);
		break;
	case RESULT_TARGET:
		read_target(reader, from, row);
		break;
	case RESULT_MISMATCH:
		read_mismatch(reader, from, row);
		break;
	case RESULT_THRESHOLD:
		read_threshold(reader, from, row);
		break;
	}
}

/* Keeps the count of rows true while it reads: result_finish frees them on an error. */
static void
read_list(const struct result_list *list, struct json_reader *reader,
    const json_t *root, struct result *ret)
{
	const json_t *array, *one;
	size_t i;
	if (list->is_optional && json_object_get(root, list->name) == NULL)
		return;
	array = json_reader_member(reader, root, "", list->name, JSON_ARRAY);
	*result_list_items(list, ret) =
	    json_reader_room(reader, array, list->name, list->row_bytes);
	json_array_foreach(array, i, one)
	{
		if (reader->failed)
			break;
		*result_list_count(list, ret) = i + 1;
		read_row(list, reader, one, result_list_at(list, ret, i));
	}
}

static void
read_ledger(struct json_reader *reader, const json_t *root, struct result *ret)
{
	if (json_object_get(root, "ledger") == NULL)
		return;
	const json_t *ledger =
	    json_reader_member(reader, root, "", "ledger", JSON_OBJECT);
	ret->has_ledger = true;
	json_record_read(result_ledger_fields, reader, ledger, "ledger", &ret->ledger);
	const json_t *faults = json_object_get(ledger, "faults");
	ret->ledger.has_faults = faults != NULL;
	if (faults != NULL)
		json_record_read(result_fault_fields, reader,
		    json_reader_member(reader, ledger, "ledger", "faults", JSON_OBJECT),
		    "ledger.faults", &ret->ledger);
	if (json_object_get(ledger, "unexplained_findings") != NULL)
		read_list(&result_ledger_findings, reader, ledger, ret);
	if (json_object_get(ledger, "servers") != NULL)
		read_list(&result_ledger_servers, reader, ledger, ret);
}

/* Results of earlier versions have none. */
static void
read_steps(struct json_reader *reader, const json_t *root, struct result *ret)
{
	const char *name;
	json_t *one, *steps = json_object_get(root, "steps");
	if (steps == NULL)
		return;
	if (!json_is_object(steps)) {
		json_reader_fail(reader, "", "steps", "expected an object");
		return;
	}
	json_object_foreach(steps, name, one)
	{
		int which = result_latency_count(ret);
		if (strlen(name) >= THRESHOLD_STEP_MAX || which == LATENCY_MAX) {
			json_reader_fail(reader, "", "steps",
			    "expected at most 64 names of at most 31 bytes");
			return;
		}
		result_step_add(ret, name);
		read_latency(reader, steps, name, ret->latency[which]);
		read_precision(reader, steps, name, &ret->precision[which]);
		if (!reader->failed)
			ret->step_lost[which - LATENCY_STEP_FIRST] =
			    json_reader_count(reader, one, name, "lost");
	}
}

/* Results of earlier versions have none. */
static void
read_labels(struct json_reader *reader, const json_t *root, struct labels *ret)
{
	const char *key;
	json_t *value, *labels = json_object_get(root, "labels");
	if (labels != NULL && !json_is_object(labels))
		json_reader_fail(reader, "", "labels", "expected an object");
	json_object_foreach(labels, key, value)
	{
		if (!labels_is_key(key) || ret->count == LABELS_MAX) {
			json_reader_fail(reader, "", "labels",
			    "expected at most 32 names of letters, digits and \"_\"");
			return;
		}
		char *text = json_reader_text(reader, labels, "labels", key);
		if (text != NULL)
			labels_add(ret, key, text);
		free(text);
	}
}

static void
read_result(struct json_reader *reader, const json_t *root, struct result *ret)
{
	const json_t *latency =
	    json_reader_member(reader, root, "", "latency", JSON_OBJECT);
	json_record_read(result_fields, reader, root, "", ret);
	ret->started_at_ns = read_time(reader, root, "started_at");
	ret->is_running = json_reader_flag(reader, root, "", "running");
	if (json_object_get(root, "collected_at") != NULL)
		ret->collected_at_ns = read_time(reader, root, "collected_at");
	read_labels(reader, root, &ret->labels);
	for (int i = 0; i < LATENCY_KIND_COUNT; i++) {
		const char *name = threshold_latency_names[i];
		read_latency(reader, latency, name, ret->latency[i]);
		read_precision(reader, latency, name, &ret->precision[i]);
	}
	read_steps(reader, root, ret);
	ret->rate_half =
	    read_real(json_object_get(root, "messages_per_s_interval95"), "high") -
	    ret->messages_per_s;
	for (const struct result_list *list = result_lists; list->name != NULL; list++)
		read_list(list, reader, root, ret);
	read_trust(reader, json_reader_member(reader, root, "", "trust", JSON_OBJECT),
	    &ret->trust);
	read_ledger(reader, root, ret);
}

/* NULL with the error if it is not JSON, or has another schema. */
static json_t *
read_root(FILE *file, char *error)
{
	json_error_t parse;
	json_t *root = json_load_stream(file, JSON_REJECT_DUPLICATES, &parse);
	const char *schema = json_string_value(json_object_get(root, "schema"));
	if (root == NULL && errno == ENOMEM)
		xmalloc_fail();
	if (root == NULL) {
		snprintf(error, RESULT_ERROR_MAX, "line %d, column %d: %s", parse.line,
		    parse.column, parse.text);
	} else if (schema == NULL || strcmp(schema, RESULT_SCHEMA) != 0) {
		const char *quote = schema == NULL ? "" : "\"";
		snprintf(error, RESULT_ERROR_MAX,
		    "schema: found %s%.64s%s, expected \"%s\"", quote,
		    schema == NULL ? "nothing" : schema, quote, RESULT_SCHEMA);
		json_decref(root);
		root = NULL;
	}
	return root;
}

int
result_read_json(FILE *file, struct result *ret, char *error)
{
	struct json_reader reader = { .error = error, .error_size = RESULT_ERROR_MAX };
	json_t *root = read_root(file, error);
	if (root == NULL)
		return -1;
	result_init(ret);
	read_result(&reader, root, ret);
	json_decref(root);
	if (reader.out_of_memory)
		xmalloc_fail();
	if (!reader.failed)
		return 0;
	result_finish(ret);
	return -1;
}

/* fopen(3) opens a directory, too. */
static FILE *
open_file(const char *path)
{
	struct stat stats;
	if (stat(path, &stats) == 0 && S_ISDIR(stats.st_mode)) {
		errno = EISDIR;
		return NULL;
	}
	return fopen(path, "re");
}

int
result_read_file(const char *path, struct result *ret)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : open_file(path);
	char error[RESULT_ERROR_MAX];
	if (file == NULL) {
		int status = errno == ENOMEM ? EX_OSERR : EX_NOINPUT;
		log_error("%s", path);
		return status;
	}
	int status = result_read_json(file, ret, error);
	if (file != stdin)
		fclose(file);
	if (status == 0)
		return 0;
	log_errorx("%s: %s", path, error);
	return EX_DATAERR;
}
