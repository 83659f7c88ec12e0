#include "client/survey_result/survey_json.h"

#include <jansson.h>
#include <string.h>

#include "lib/json/json_record.h"
#include "lib/units.h"
#include "lib/xmalloc.h"
#include "client/survey_result/survey_threshold.h"

/* jansson returns NULL, and later calls fail too, when memory is exhausted. */
static void
put(json_t *to, const char *key, json_t *value)
{
	if (json_object_set_new(to, key, xmalloc_check(value)) < 0)
		xmalloc_fail();
}

static void
append(json_t *to, json_t *value)
{
	if (json_array_append_new(to, xmalloc_check(value)) < 0)
		xmalloc_fail();
}

static json_t *
text_or_null(const char *text)
{
	return text == NULL || text[0] == '\0' ? json_null() : json_record_text(text);
}

static json_t *
value_of(const struct survey_value *value)
{
	switch (value->field->kind) {
	case SURVEY_COUNT:
		return json_integer((json_int_t)value->number);
	case SURVEY_REAL:
		return json_real(value->number);
	default:
		return json_record_text(value->text);
	}
}

static json_t *
trials_of(const struct bracket_trial *trials, uint32_t count)
{
	json_t *list = xmalloc_check(json_array());
	for (uint32_t i = 0; i < count; i++) {
		json_t *one = xmalloc_check(json_object());
		put(one, "rung_s", json_real(trials[i].planned_s));
		put(one, "idle_s", json_real(trials[i].idle_s));
		put(one, "fate", json_string(bracket_fate_names[trials[i].fate]));
		put(one, "unasked", json_boolean(trials[i].unasked));
		append(list, one);
	}
	return list;
}

static json_t *
evidence_of(const struct survey_result *result, enum survey_row_id id)
{
	const struct survey_row *row = &result->rows[id];
	json_t *evidence = xmalloc_check(json_object());
	for (uint32_t i = 0; i < row->value_count; i++)
		if (row->values[i].field->is_evidence)
			put(evidence, row->values[i].field->name,
			    value_of(&row->values[i]));
	if (id == SURVEY_idle) {
		put(evidence, "client_first",
		    trials_of(result->client_first, result->client_first_count));
		put(evidence, "server_first",
		    trials_of(result->server_first, result->server_first_count));
	} else if (id == SURVEY_half_closed) {
		put(evidence, "trials",
		    trials_of(result->half_closed, result->half_closed_count));
	}
	return evidence;
}

static json_t *
row_of(const struct survey_result *result, enum survey_row_id id)
{
	const struct survey_row *row = &result->rows[id];
	json_t *to = xmalloc_check(json_object());
	put(to, "id", json_string(survey_row_kinds[id].id));
	put(to, "question", json_string(survey_row_kinds[id].question));
	put(to, "answer", text_or_null(survey_answer(result, id)));
	put(to, "certainty", json_string(survey_certainty_names[row->certainty]));
	put(to, "of",
	    row->tried == 0 ? json_null()
			    : json_pack("[ii]", (int)row->seen, (int)row->tried));
	put(to, "text", text_or_null(row->text));
	put(to, "reason", text_or_null(row->reason));
	put(to, "attention", text_or_null(row->mark));
	if (row->norm == NULL)
		put(to, "norm", json_null());
	else
		put(to, "norm",
		    json_pack("{ss sf}", "rfc", row->norm, "at_least_s",
			row->norm_at_least_s));
	for (uint32_t i = 0; i < row->value_count; i++)
		if (!row->values[i].field->is_evidence &&
		    strcmp(row->values[i].field->name, "answer") != 0)
			put(to, row->values[i].field->name, value_of(&row->values[i]));
	put(to, "evidence", evidence_of(result, id));
	return to;
}

static json_t *
witness_of(const struct survey_result *result)
{
	if (!result->is_witness)
		return json_null();
	return json_pack("{si ss si sf}", "version", (int)result->witness_version,
	    "instance", result->instance, "generation", (int)result->generation,
	    "idle_s", result->witness_idle_s);
}

static json_t *
thresholds_of(const struct survey_result *result)
{
	json_t *list = xmalloc_check(json_array());
	for (uint32_t i = 0; i < result->threshold_count; i++) {
		const struct survey_threshold_outcome *t = &result->thresholds[i];
		json_t *one = xmalloc_check(json_object());
		put(one, "threshold", json_record_text(t->threshold.text));
		put(one, "passed", json_boolean(t->passed));
		put(one, "found", json_record_text(t->found));
		append(list, one);
	}
	return list;
}

int
survey_json_write(const struct survey_result *result, int exit_status, FILE *file)
{
	char started[UNITS_TEXT_MAX];
	json_t *root = xmalloc_check(json_object()), *rows;
	put(root, "format", json_string(SURVEY_FORMAT));
	put(root, "version", json_string(YODEL_VERSION));
	put(root, "exit_status", json_integer(exit_status));
	put(root, "target", json_record_text(result->target));
	put(root, "address", json_record_text(result->address));
	put(root, "second_target", text_or_null(result->second));
	put(root, "server", text_or_null(result->server));
	put(root, "witness", witness_of(result));
	put(root, "started",
	    json_string(units_format_time(result->started_ns, 3, started)));
	put(root, "duration_s", json_real(result->planned_s));
	put(root, "took_s", json_real(result->took_s));
	put(root, "probes_took_s", json_real(result->fast_s));
	put(root, "connections", json_integer((json_int_t)result->connections));
	put(root, "connections_announced",
	    json_integer((json_int_t)result->connections_announced));
	put(root, "connections_most",
	    json_integer((json_int_t)result->connections_open_most));
	put(root, "bytes", json_integer((json_int_t)result->bytes));
	put(root, "interrupted", json_boolean(result->is_interrupted));
	put(root, "disturbed", text_or_null(result->disturbed));
	put(root, "failure", text_or_null(result->failure));
	put(root, "thresholds", thresholds_of(result));
	put(root, "rows", rows = json_array());
	for (int i = 0; i < SURVEY_ROW_COUNT; i++)
		append(rows, row_of(result, (enum survey_row_id)i));
	int status = json_dumpf(root, file, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
	if (status == 0 && (fputc('\n', file) == EOF || fflush(file) < 0))
		status = -1;
	json_decref(root);
	return status;
}
