/* Writes a result as JSON, as client/result.schema.json describes it. Keys that are not
 * in client/result/result_fields.c are written by hand here and read by hand in
 * client/result/result_read.c. A value that could not be made is NULL, and makes each
 * value that contains it NULL: only the root is checked. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/stats/histogram_codec.h"
#include "lib/stats/percentile_interval.h"
#include "lib/units.h"
#include "lib/xmalloc.h"
#include "client/result/result.h"
#include "client/result/result_fields.h"
#include "client/result/verdict.h"

#define N(number) ((json_int_t)(number))

static json_t *
real(double number)
{
	return isfinite(number) ? json_real(number) : json_null();
}

static json_t *
interval_of(double value, double half)
{
	return isfinite(half)
	    ? json_pack("{sf sf}", "low", fmax(0, value - half), "high", value + half)
	    : json_null();
}

static json_t *
intervals_of(const struct result *result, enum latency_kind which)
{
	json_t *to = json_object();
	for (size_t i = 0; i < RESULT_PERCENTILES; i++) {
		struct percentile_interval c =
		    result_percentile(result, which, result_percentiles[i]);
		json_record_put(&to, result_percentile_names[i],
		    c.has_interval
			? json_pack("{sI sI}", "low_ns", N(c.low), "high_ns", N(c.high))
			: json_null());
	}
	return to;
}

/* Input of the intervals, so that they can be computed again after reading. */
static json_t *
precision_of(const struct result_precision *precision)
{
	json_t *to = json_object();
	for (size_t i = 0; i < RESULT_PERCENTILES; i++) {
		const struct precision *p = &precision->percentiles[i];
		json_record_put(&to, result_percentile_names[i],
		    p->effective > 0 ? json_pack("{sf sf}", "effective_count",
					   p->effective, "degrees", p->degrees)
				     : json_null());
	}
	json_record_put(&to, "mean_half_ns", real(precision->mean_half_ns));
	return to;
}

static json_t *
latency_of(const struct result *result, enum latency_kind which)
{
	const struct histogram *h = result->latency[which];
	char *text = xmalloc_check(histogram_codec_encode(h)), key[32];
	json_t *to = json_pack("{sI sI sf sf}", "count", N(histogram_count(h)),
	    "min_ns", N(histogram_min(h)), "mean_ns", histogram_mean(h), "stddev_ns",
	    histogram_stddev(h));
	for (size_t i = 0; i < RESULT_PERCENTILES; i++) {
		snprintf(key, sizeof(key), "%s_ns", result_percentile_names[i]);
		json_record_put(&to, key,
		    json_integer(N(histogram_percentile(h, result_percentiles[i]))));
	}
	int status = json_object_update_new(to,
	    json_pack("{sI sI sf so so ss}", "max_ns", N(histogram_max(h)), "dropped",
		N(histogram_dropped(h)), "effective_count",
		result_effective_count(result, which), "intervals95",
		intervals_of(result, which), "uncertainty",
		precision_of(&result->precision[which]), "hdr", text));
	free(text);
	return json_record_complete(to, status);
}

static json_t *
latencies_of(const struct result *result)
{
	json_t *to = json_object();
	for (int i = 0; i < LATENCY_KIND_COUNT; i++)
		json_record_put(&to, threshold_latency_names[i], latency_of(result, i));
	return to;
}

static json_t *
steps_of(const struct result *result)
{
	json_t *to = json_object();
	for (size_t i = 0; i < result->step_count; i++) {
		json_t *step =
		    latency_of(result, (enum latency_kind)(LATENCY_STEP_FIRST + i));
		json_record_put(&step, "lost", json_integer(N(result->step_lost[i])));
		json_record_put(&to, result->steps[i], step);
	}
	return to;
}

static const char *
hex(const uint8_t *data, uint32_t length, char *buffer)
{
	buffer[0] = '\0';
	for (uint32_t i = 0; i < length && i < COUNTERS_EXCERPT_MAX; i++)
		snprintf(buffer + 2 * (size_t)i, 3, "%02x", data[i]);
	return buffer;
}

static json_t *
mismatch_of(const struct counters_mismatch *m)
{
	char expected[2 * COUNTERS_EXCERPT_MAX + 1], got[2 * COUNTERS_EXCERPT_MAX + 1];
	return json_pack("{sI sI sI sI ss ss so so so sI so so}", "connection",
	    N(m->connection), "offset", N(m->offset), "message", N(m->message),
	    "answer_offset", N(m->answer_offset), "expected",
	    hex(m->expected, m->expected_length, expected), "got",
	    hex(m->got, m->got_length, got), "looks_like",
	    json_record_text(m->looks_like), "at", json_record_text(m->at), "local",
	    json_record_text(m->local), "line", N(m->line), "step",
	    json_record_text(m->step), "description", json_record_text(m->description));
}

static json_t *
threshold_of(const struct threshold_outcome *t)
{
	return json_pack("{ss sb sb so so}", "threshold", t->threshold.text, "passed",
	    (int)t->passed, "known", (int)t->known, "value", real(t->value), "limit",
	    real(t->threshold.limit));
}

json_t *
result_trust_json(const struct result_trust *trust)
{
	json_t *to = json_record_write(result_trust_fields, trust);
	json_record_put(
	    &to, "verdict", json_string(result_verdict_names[trust->verdict]));
	return to;
}

/* A single target has the latency of the whole. */
static json_t *
target_of(const struct result_target *target)
{
	json_t *to = json_record_write(result_target_fields, target);
	if (target->response == NULL)
		return to;
	char *text = xmalloc_check(histogram_codec_encode(target->response));
	json_record_put(&to, "hdr", json_string(text));
	free(text);
	return to;
}

static json_t *
row_of(const struct result_list *list, const void *row)
{
	switch (list->row) {
	case RESULT_RECORD:
		return json_record_write(list->fields, row);
	case RESULT_TARGET:
		return target_of(row);
	case RESULT_MISMATCH:
		return mismatch_of(row);
	case RESULT_THRESHOLD:
		return threshold_of(row);
	}
	return NULL;
}

static json_t *
list_of(const struct result_list *list, const struct result *result)
{
	json_t *to = json_array();
	for (size_t i = 0; i < *result_list_count(list, result); i++)
		json_record_append(&to, row_of(list, result_list_at(list, result, i)));
	return to;
}

static json_t *
ledger_of(const struct result *result)
{
	json_t *to = json_object();
	if (result->ledger.unexplained_finding_count > 0)
		json_record_put(&to, "unexplained_findings",
		    list_of(&result_ledger_findings, result));
	if (result->ledger.has_faults)
		json_record_put(&to, "faults",
		    json_record_write(result_fault_fields, &result->ledger));
	to = json_record_complete(to,
	    json_object_update_new(
		to, json_record_write(result_ledger_fields, &result->ledger)));
	if (result->ledger.server_count > 0)
		json_record_put(
		    &to, "servers", list_of(&result_ledger_servers, result));
	return to;
}

json_t *
result_labels_json(const struct labels *labels)
{
	json_t *to = json_object();
	for (size_t i = 0; i < labels->count; i++)
		json_record_put(&to, labels->items[i].key,
		    json_record_text(labels->items[i].value));
	return to;
}

static json_t *
result_of(const struct result *result)
{
	char started[UNITS_TEXT_MAX], collected[UNITS_TEXT_MAX];
	json_t *root = json_object();
	/* Damage of the path stands before everything else. */
	if (result->has_ledger && result->ledger.unexplained_finding_count > 0)
		json_record_put(&root, "ledger", ledger_of(result));
	root = json_record_complete(root,
	    json_object_update_new(root,
		json_pack("{ss ss si}", "schema", RESULT_SCHEMA, "started_at",
		    units_format_time(result->started_at_ns, 9, started), "exit_status",
		    verdict_exit_status(result))));
	json_record_put(&root, "labels", result_labels_json(&result->labels));
	if (result->is_running)
		json_record_put(&root, "running", json_true());
	if (result->is_running && result->collected_at_ns > 0)
		json_record_put(&root, "collected_at",
		    json_string(
			units_format_time(result->collected_at_ns, 3, collected)));
	root = json_record_complete(root,
	    json_object_update_new(root, json_record_write(result_fields, result)));
	json_record_put(&root, "trust", result_trust_json(&result->trust));
	json_record_put(&root, "messages_per_s_interval95",
	    interval_of(result->messages_per_s, result->rate_half));
	json_record_put(&root, "latency", latencies_of(result));
	json_record_put(&root, "steps", steps_of(result));
	for (const struct result_list *list = result_lists; list->name != NULL; list++)
		json_record_put(&root, list->name, list_of(list, result));
	if (result->has_ledger && result->ledger.unexplained_finding_count == 0)
		json_record_put(&root, "ledger", ledger_of(result));
	return root;
}

int
result_write_json(const struct result *result, FILE *file)
{
	json_t *root = xmalloc_check(result_of(result));
	int status = json_dumpf(root, file, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
	if (status == 0 && (fputc('\n', file) == EOF || fflush(file) < 0))
		status = -1;
	json_decref(root);
	return status;
}
