#include "client/survey_result/survey_rows.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SURVEY_ROW_KIND(id, group, question) { #id, SURVEY_GROUP_##group, question },
const struct survey_row_kind survey_row_kinds[] = { SURVEY_ROWS(SURVEY_ROW_KIND) };

const char *const survey_group_names[] = { "The way", "Where the connection ends",
	"Addresses", "How it ends", "Bytes", "Limits", "Time", "Counters" };

const char *const survey_certainty_names[] = { "not asked", "proved", "seen", "bounded",
	"likely", "no sign" };

enum survey_row_id
survey_row_find(const char *id)
{
	int row = 0;
	while (row < SURVEY_ROW_COUNT && strcmp(survey_row_kinds[row].id, id) != 0)
		row++;
	return (enum survey_row_id)row;
}

static const struct survey_field *
find_field(enum survey_row_id row, const char *name)
{
	const struct survey_field *f = survey_fields;
	while (f->name != NULL && (f->row != row || strcmp(f->name, name) != 0))
		f++;
	assert(f->name != NULL);
	return f;
}

/* The value of a field, which it may not have had yet. */
static struct survey_value *
value_of(struct survey_result *result, enum survey_row_id id, const char *name)
{
	struct survey_row *row = &result->rows[id];
	const struct survey_field *field = find_field(id, name);
	uint32_t i = 0;
	while (i < row->value_count && row->values[i].field != field)
		i++;
	assert(i < SURVEY_VALUES_MAX);
	if (i == row->value_count)
		row->value_count++;
	row->values[i].field = field;
	return &row->values[i];
}

void
survey_set_word(struct survey_result *result, enum survey_row_id row, const char *name,
    const char *word)
{
	struct survey_value *value = value_of(result, row, name);
	assert(value->field->kind == SURVEY_WORD &&
	    strstr(value->field->words, word) != NULL);
	snprintf(value->text, sizeof(value->text), "%s", word);
}

void
survey_set_text(struct survey_result *result, enum survey_row_id row, const char *name,
    const char *text)
{
	struct survey_value *value = value_of(result, row, name);
	assert(value->field->kind == SURVEY_TEXT);
	snprintf(value->text, sizeof(value->text), "%s", text);
}

void
survey_set_number(struct survey_result *result, enum survey_row_id row,
    const char *name, double number)
{
	struct survey_value *value = value_of(result, row, name);
	assert(value->field->kind == SURVEY_COUNT || value->field->kind == SURVEY_REAL);
	value->number = number;
}

const struct survey_value *
survey_get(const struct survey_result *result, enum survey_row_id id, const char *name)
{
	const struct survey_row *row = &result->rows[id];
	for (uint32_t i = 0; i < row->value_count; i++)
		if (strcmp(row->values[i].field->name, name) == 0)
			return &row->values[i];
	return NULL;
}

const char *
survey_answer(const struct survey_result *result, enum survey_row_id row)
{
	const struct survey_value *answer = survey_get(result, row, "answer");
	return answer == NULL ? "" : answer->text;
}

void
survey_conclude(struct survey_result *result, enum survey_row_id id, const char *answer,
    enum survey_certainty certainty, const char *format, ...)
{
	struct survey_row *row = &result->rows[id];
	va_list args;
	survey_set_word(result, id, "answer", answer);
	row->certainty = certainty;
	va_start(args, format);
	vsnprintf(row->text, sizeof(row->text), format, args);
	va_end(args);
}

void
survey_mark(
    struct survey_result *result, enum survey_row_id id, const char *format, ...)
{
	struct survey_row *row = &result->rows[id];
	va_list args;
	if (row->mark[0] != '\0')
		return;
	va_start(args, format);
	vsnprintf(row->mark, sizeof(row->mark), format, args);
	va_end(args);
}

void
survey_not_asked(
    struct survey_result *result, enum survey_row_id id, const char *format, ...)
{
	struct survey_row *row = &result->rows[id];
	va_list args;
	row->certainty = SURVEY_NOT_ASKED;
	va_start(args, format);
	vsnprintf(row->reason, sizeof(row->reason), format, args);
	va_end(args);
}

uint32_t
survey_marked(const struct survey_result *result)
{
	uint32_t marked = 0;
	for (int i = 0; i < SURVEY_ROW_COUNT; i++)
		marked += result->rows[i].mark[0] != '\0';
	return marked;
}

const char *
survey_certainty_text(const struct survey_row *row, char *buffer)
{
	const char *name = survey_certainty_names[row->certainty];
	if (row->tried > 0 && row->certainty != SURVEY_NOT_ASKED)
		snprintf(buffer, 32, "%s %u/%u", name, row->seen, row->tried);
	else
		snprintf(buffer, 32, "%s", name);
	return buffer;
}
