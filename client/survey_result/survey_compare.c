#include "client/survey_result/survey_compare.h"

#include <jansson.h>
#include <math.h>
#include <string.h>
#include <sysexits.h>

#include "lib/log.h"
#include "lib/printable.h"
#include "client/survey_result/survey_json.h"
#include "client/survey_result/survey_rows.h"

#define SHOWN_MAX 300
#define LEAST_MS 2.0 /* of times in ms: less is noise */

/* A member as text; "" without it. */
static const char *
text_of(const json_t *from, const char *key)
{
	const char *text = json_string_value(json_object_get(from, key));
	return text != NULL ? text : "";
}

static json_t *
load(const char *path)
{
	json_error_t error;
	return json_load_file(path, JSON_REJECT_DUPLICATES, &error);
}

bool
survey_compare_is_survey(const char *path)
{
	json_t *root = load(path);
	bool is_survey = strcmp(text_of(root, "format"), SURVEY_FORMAT) == 0;
	json_decref(root);
	return is_survey;
}

/* 0, or an exit status with one line. */
static int
read_survey(const char *path, json_t **ret)
{
	json_error_t error;
	FILE *file = fopen(path, "re");
	if (file == NULL) {
		log_error("%s", path);
		return EX_NOINPUT;
	}
	*ret = json_loadf(file, JSON_REJECT_DUPLICATES, &error);
	fclose(file);
	if (*ret == NULL) {
		log_errorx("%s: line %d: %s", path, error.line, error.text);
		return EX_DATAERR;
	}
	if (strcmp(text_of(*ret, "format"), SURVEY_FORMAT) == 0 &&
	    json_is_array(json_object_get(*ret, "rows")))
		return 0;
	log_errorx("%s: expected the JSON of a survey (\"format\": \"%s\")", path,
	    SURVEY_FORMAT);
	json_decref(*ret);
	*ret = NULL;
	return EX_DATAERR;
}

static const json_t *
row_of(const json_t *root, const char *id)
{
	size_t i;
	const json_t *row;
	json_array_foreach(json_object_get(root, "rows"), i, row)
	{
		if (strcmp(text_of(row, "id"), id) == 0)
			return row;
	}
	return NULL;
}

static bool
is_in_ms(const struct survey_field *field)
{
	size_t length = strlen(field->name);
	return length > 3 && strcmp(field->name + length - 3, "_ms") == 0;
}

static bool
numbers_differ(const struct survey_field *field, double a, double b)
{
	double apart = fabs(a - b), most = fmax(fabs(a), fabs(b));
	if (is_in_ms(field) && apart < LEAST_MS)
		return false;
	return apart > most *
	    (field->kind == SURVEY_COUNT ? SURVEY_COMPARE_COUNT : SURVEY_COMPARE_REAL);
}

static bool
values_differ(const struct survey_field *field, const json_t *a, const json_t *b)
{
	bool no_a = a == NULL || json_is_null(a), no_b = b == NULL || json_is_null(b);
	if (no_a || no_b)
		return no_a != no_b && !is_in_ms(field);
	if (field->kind == SURVEY_COUNT || field->kind == SURVEY_REAL)
		return numbers_differ(
		    field, json_number_value(a), json_number_value(b));
	return strcmp(json_string_value(a) != NULL ? json_string_value(a) : "",
		   json_string_value(b) != NULL ? json_string_value(b) : "") != 0;
}

/* Bytes that a path holds depend on the moment; so do counts by server. */
static bool
is_compared(const struct survey_field *field)
{
	return !field->is_evidence && strcmp(field->name, "held_bytes") != 0 &&
	    strcmp(field->name, "names") != 0 && strcmp(field->name, "bytes") != 0;
}

static bool
rows_differ(enum survey_row_id id, const json_t *a, const json_t *b)
{
	for (const struct survey_field *f = survey_fields; f->name != NULL; f++)
		if (f->row == id && is_compared(f) &&
		    values_differ(
			f, json_object_get(a, f->name), json_object_get(b, f->name)))
			return true;
	return false;
}

static void
write_side(FILE *file, const char *side, const json_t *row)
{
	char shown[SHOWN_MAX];
	const char *text = text_of(row, "text");
	if (text[0] == '\0')
		text = text_of(row, "reason");
	fprintf(file, "    %-5s %s (%s)\n", side,
	    printable_escape(
		text[0] != '\0' ? text : "no such row", shown, sizeof(shown)),
	    text_of(row, "certainty"));
}

static uint32_t
compare(const json_t *before, const json_t *after, FILE *file, bool *ret_worse)
{
	uint32_t differ = 0;
	for (int i = 0; i < SURVEY_ROW_COUNT; i++) {
		const char *id = survey_row_kinds[i].id;
		const json_t *a = row_of(before, id), *b = row_of(after, id);
		if (!rows_differ((enum survey_row_id)i, a, b))
			continue;
		bool is_worse = text_of(b, "attention")[0] != '\0' &&
		    text_of(a, "attention")[0] == '\0';
		differ++;
		*ret_worse = *ret_worse || is_worse;
		fprintf(file, "%s %s\n", is_worse ? "!" : " ", id);
		write_side(file, "base", a);
		write_side(file, "new", b);
	}
	return differ;
}

int
survey_compare(const char *before, const char *after, FILE *file, bool *ret_worse)
{
	json_t *a = NULL, *b = NULL;
	*ret_worse = false;
	int status = read_survey(before, &a);
	if (status == 0)
		status = read_survey(after, &b);
	if (status == 0) {
		uint32_t differ = compare(a, b, file, ret_worse);
		fprintf(file, "%u of %d rows differ%s\n", differ, SURVEY_ROW_COUNT,
		    *ret_worse ? "; ! marks what needs a look now and did not before"
			       : "");
	}
	json_decref(a);
	json_decref(b);
	return status;
}
