/* The schema of a survey, from the tables of survey_rows.h. */
#include <jansson.h>
#include <string.h>

#include "lib/xmalloc.h"
#include "client/survey_result/survey_json.h"

static void
put(json_t *to, const char *key, json_t *value)
{
	if (json_object_set_new(to, key, xmalloc_check(value)) < 0)
		xmalloc_fail();
}

/* Several types, of which the second may be NULL. */
static json_t *
type_of(const char *type, const char *other)
{
	return other == NULL ? json_pack("{ss}", "type", type)
			     : json_pack("{s[ss]}", "type", type, other);
}

static json_t *
words_of(const char *words)
{
	json_t *list = xmalloc_check(json_array());
	for (const char *at = words; *at != '\0';) {
		size_t length = strcspn(at, "|");
		if (json_array_append_new(list, json_stringn(at, length)) < 0)
			xmalloc_fail();
		at += length + (at[length] == '|');
	}
	return list;
}

static json_t *
field_schema(const struct survey_field *field)
{
	static const char *const types[] = { NULL, "string", "integer", "number" };
	json_t *schema = field->kind == SURVEY_WORD
	    ? json_pack("{so}", "enum", words_of(field->words))
	    : type_of(types[field->kind], NULL);
	put(xmalloc_check(schema), "description", json_string(field->about));
	return schema;
}

static json_t *
closed_object(json_t *properties, json_t *required)
{
	json_t *schema = xmalloc_check(json_object());
	put(schema, "type", json_string("object"));
	put(schema, "properties", properties);
	if (required != NULL)
		put(schema, "required", required);
	put(schema, "additionalProperties", json_false());
	return schema;
}

/* Every property is required. */
static json_t *
complete_object(json_t *properties)
{
	json_t *required = xmalloc_check(json_array());
	const char *key;
	json_t *value;
	json_object_foreach(properties, key, value)
	{
		if (json_array_append_new(required, json_string(key)) < 0)
			xmalloc_fail();
	}
	return closed_object(properties, required);
}

static json_t *
list_of(json_t *items)
{
	return json_pack("{ss so}", "type", "array", "items", items);
}

static json_t *
trial_schema(void)
{
	json_t *p = xmalloc_check(json_object());
	put(p, "rung_s", type_of("number", NULL));
	put(p, "idle_s", type_of("number", NULL));
	put(p, "fate",
	    json_pack("{so}", "enum", words_of("unknown|alive|silence|rst|fin")));
	put(p, "unasked", type_of("boolean", NULL));
	return complete_object(p);
}

static json_t *
evidence_schema(enum survey_row_id row)
{
	json_t *p = xmalloc_check(json_object());
	for (const struct survey_field *f = survey_fields; f->name != NULL; f++)
		if (f->row == row && f->is_evidence)
			put(p, f->name, field_schema(f));
	if (row == SURVEY_idle) {
		put(p, "client_first", list_of(trial_schema()));
		put(p, "server_first", list_of(trial_schema()));
	} else if (row == SURVEY_half_closed) {
		put(p, "trials", list_of(trial_schema()));
	}
	return closed_object(p, NULL);
}

static json_t *
answer_schema(enum survey_row_id row)
{
	const struct survey_field *f = survey_fields;
	while (f->row != row || strcmp(f->name, "answer") != 0)
		f++;
	json_t *words = words_of(f->words);
	if (json_array_append_new(words, json_null()) < 0)
		xmalloc_fail();
	return json_pack("{so ss}", "enum", words, "description", f->about);
}

static json_t *
row_schema(enum survey_row_id row)
{
	static const char certainties[] =
	    "proved|seen|bounded|likely|no sign|not asked";
	json_t *p = xmalloc_check(json_object());
	json_t *norm = xmalloc_check(json_object());
	put(norm, "rfc", type_of("string", NULL));
	put(norm, "at_least_s", type_of("number", NULL));
	put(p, "id", json_pack("{ss}", "const", survey_row_kinds[row].id));
	put(p, "question", type_of("string", NULL));
	put(p, "answer", answer_schema(row));
	put(p, "certainty", json_pack("{so}", "enum", words_of(certainties)));
	put(p, "of",
	    json_pack("{s[ss] s{ss} si si}", "type", "array", "null", "items", "type",
		"integer", "minItems", 2, "maxItems", 2));
	put(p, "text", type_of("string", "null"));
	put(p, "reason", type_of("string", "null"));
	put(p, "attention", type_of("string", "null"));
	put(p, "norm",
	    json_pack("{s[{ss}o]}", "anyOf", "type", "null", complete_object(norm)));
	put(p, "evidence", evidence_schema(row));
	json_t *required = xmalloc_check(json_array());
	const char *key;
	json_t *value;
	json_object_foreach(p, key, value)
	{
		if (json_array_append_new(required, json_string(key)) < 0)
			xmalloc_fail();
	}
	for (const struct survey_field *f = survey_fields; f->name != NULL; f++)
		if (f->row == row && !f->is_evidence && strcmp(f->name, "answer") != 0)
			put(p, f->name, field_schema(f));
	return closed_object(p, required);
}

static json_t *
witness_schema(void)
{
	json_t *p = xmalloc_check(json_object());
	put(p, "version", type_of("integer", NULL));
	put(p, "instance", type_of("string", NULL));
	put(p, "generation", type_of("integer", NULL));
	put(p, "idle_s", type_of("number", NULL));
	return json_pack("{s[{ss}o]}", "anyOf", "type", "null", complete_object(p));
}

static json_t *
threshold_schema(void)
{
	json_t *p = xmalloc_check(json_object());
	put(p, "threshold", type_of("string", NULL));
	put(p, "passed", type_of("boolean", NULL));
	put(p, "found", type_of("string", NULL));
	return list_of(complete_object(p));
}

static json_t *
rows_schema(void)
{
	json_t *rows = xmalloc_check(json_array());
	for (int i = 0; i < SURVEY_ROW_COUNT; i++)
		if (json_array_append_new(rows, row_schema((enum survey_row_id)i)) < 0)
			xmalloc_fail();
	return json_pack("{ss so si si}", "type", "array", "items", rows, "minItems",
	    SURVEY_ROW_COUNT, "maxItems", SURVEY_ROW_COUNT);
}

/* The members around the rows: name, type, another type. */
static const char *const members[][3] = {
	{ "version", "string", NULL },
	{ "exit_status", "integer", NULL },
	{ "target", "string", NULL },
	{ "address", "string", NULL },
	{ "second_target", "string", "null" },
	{ "server", "string", "null" },
	{ "started", "string", NULL },
	{ "duration_s", "number", NULL },
	{ "took_s", "number", NULL },
	{ "probes_took_s", "number", NULL },
	{ "connections", "integer", NULL },
	{ "connections_announced", "integer", NULL },
	{ "connections_most", "integer", NULL },
	{ "bytes", "integer", NULL },
	{ "interrupted", "boolean", NULL },
	{ "disturbed", "string", "null" },
	{ "failure", "string", "null" },
};

int
survey_json_write_schema(FILE *file)
{
	json_t *p = xmalloc_check(json_object());
	put(p, "format", json_pack("{ss}", "const", SURVEY_FORMAT));
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		put(p, members[i][0], type_of(members[i][1], members[i][2]));
	put(p, "witness", witness_schema());
	put(p, "thresholds", threshold_schema());
	put(p, "rows", rows_schema());
	json_t *schema = complete_object(p);
	put(schema, "$schema", json_string("http://json-schema.org/draft-07/schema#"));
	put(schema, "title",
	    json_string(SURVEY_FORMAT ": what a path does to connections"));
	int status = json_dumpf(schema, file, JSON_INDENT(1) | JSON_SORT_KEYS);
	if (status == 0 && (fputc('\n', file) == EOF || fflush(file) < 0))
		status = -1;
	json_decref(schema);
	return status;
}
