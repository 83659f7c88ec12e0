#include "client/survey_result/survey_threshold.h"

#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/units.h"

/* The number of a row that is meant when no field is named. */
static const struct {
	enum survey_row_id row;
	const char *field;
} main_numbers[] = {
	{ SURVEY_reach, "answer_ms" },
	{ SURVEY_server_first, "after_s" },
	{ SURVEY_concurrent, "served" },
	{ SURVEY_burst, "at_once" },
	{ SURVEY_rate, "per_s" },
	{ SURVEY_idle, "alive_s" },
	{ SURVEY_half_closed, "alive_s" },
	{ SURVEY_life, "alive_s" },
	{ SURVEY_backends, "servers" },
	{ SURVEY_split, "held_bytes" },
	{ SURVEY_split_back, "held_bytes" },
};

/* Names that are no rows. */
static const struct {
	const char *name;
	enum survey_row_id row;
	const char *field;
} short_names[] = {
	{ "mtu", SURVEY_big, "mtu" },
	{ "mss", SURVEY_syn, "mss" },
};

static const struct survey_field *
find_field(enum survey_row_id row, const char *name)
{
	const struct survey_field *f = survey_fields;
	while (f->name != NULL && (f->row != row || strcmp(f->name, name) != 0))
		f++;
	return f->name != NULL ? f : NULL;
}

static bool
is_number(const struct survey_field *field)
{
	return field->kind == SURVEY_COUNT || field->kind == SURVEY_REAL;
}

/* For a number a field that is a word stands for its time: server_first for
 * server_first_alive_s. */
static const struct survey_field *
field_of(enum survey_row_id row, const char *name, bool wants_number)
{
	char timed[64];
	if (name == NULL && !wants_number)
		return find_field(row, "answer");
	if (name == NULL) {
		for (size_t i = 0; i < sizeof(main_numbers) / sizeof(main_numbers[0]);
		     i++)
			if (main_numbers[i].row == row)
				return find_field(row, main_numbers[i].field);
		return NULL;
	}
	const struct survey_field *field = find_field(row, name);
	if (field != NULL && is_number(field) == wants_number)
		return field;
	snprintf(timed, sizeof(timed), "%s_alive_s", name);
	return wants_number ? find_field(row, timed) : NULL;
}

static bool
ends_in(const char *text, const char *end)
{
	size_t length = strlen(text), tail = strlen(end);
	return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* Parses the value in the unit that the field's name ends in. */
static int
parse_limit(const struct survey_field *field, const char *text, double *ret)
{
	char plain[SURVEY_THRESHOLD_MAX];
	uint64_t value;
	snprintf(plain, sizeof(plain), "%s", text);
	if (ends_in(field->name, "_s") && !ends_in(field->name, "per_s")) {
		if (units_parse_duration(plain, &value) < 0)
			return -1;
		*ret = (double)value / (double)NS_PER_S;
		return 0;
	}
	if (ends_in(field->name, "_ms")) {
		if (units_parse_duration(plain, &value) < 0)
			return -1;
		*ret = (double)value / (double)NS_PER_MS;
		return 0;
	}
	if (ends_in(plain, "/s"))
		plain[strlen(plain) - 2] = '\0';
	if (ends_in(field->name, "_bytes") ? units_parse_size(plain, &value) < 0
					   : units_parse_count(plain, &value) < 0)
		return -1;
	*ret = (double)value;
	return 0;
}

static enum survey_threshold_op
op_of(const char *at, size_t *ret_length)
{
	bool or_equal = at[0] != '=' && at[1] == '=';
	*ret_length = or_equal ? 2 : 1;
	if (at[0] == '<')
		return or_equal ? SURVEY_AT_MOST : SURVEY_BELOW;
	if (at[0] == '>')
		return or_equal ? SURVEY_AT_LEAST : SURVEY_ABOVE;
	return SURVEY_IS;
}

/* True if the word is one of the field's. */
static bool
is_word_of(const struct survey_field *field, const char *word)
{
	const char *at = field->words;
	size_t length = strlen(word);
	while (at != NULL && *at != '\0') {
		size_t each = strcspn(at, "|");
		if (each == length && strncmp(at, word, length) == 0)
			return true;
		at += each + (at[each] == '|');
	}
	return false;
}

static int
find_row(char *name, struct survey_threshold *ret, bool wants_number, char *error,
    size_t error_size)
{
	char *field = strchr(name, '.');
	if (field != NULL)
		*field++ = '\0';
	enum survey_row_id row = survey_row_find(name);
	for (size_t i = 0; i < sizeof(short_names) / sizeof(short_names[0]); i++)
		if (strcmp(name, short_names[i].name) == 0) {
			row = short_names[i].row;
			field = (char *)short_names[i].field;
		}
	if (row == SURVEY_ROW_COUNT) {
		snprintf(error, error_size,
		    "found the name \"%s\", expected a probe of --list, mtu or mss",
		    name);
		return -1;
	}
	ret->field = field_of(row, field, wants_number);
	if (ret->field != NULL)
		return 0;
	snprintf(error, error_size, "\"%s%s%s\" has no %s to compare", name,
	    field != NULL ? "." : "", field != NULL ? field : "",
	    wants_number ? "number" : "word");
	return -1;
}

int
survey_threshold_parse(
    const char *text, struct survey_threshold *ret, char *error, size_t error_size)
{
	struct survey_threshold t = { .field = NULL };
	char name[SURVEY_THRESHOLD_MAX];
	size_t length = strcspn(text, "<>="), op_length;
	if (strlen(text) >= sizeof(t.text) || text[length] == '\0' || length == 0) {
		snprintf(error, error_size,
		    "found \"%.80s\", expected a condition such as idle>=300s or split=no",
		    text);
		return -1;
	}
	snprintf(t.text, sizeof(t.text), "%s", text);
	snprintf(name, sizeof(name), "%.*s", (int)length, text);
	t.op = op_of(text + length, &op_length);
	const char *value = text + length + op_length;
	if (find_row(name, &t, t.op != SURVEY_IS, error, error_size) < 0)
		return -1;
	if (t.op == SURVEY_IS) {
		snprintf(t.word, sizeof(t.word), "%s", value);
		if (t.field->words != NULL && !is_word_of(t.field, value)) {
			snprintf(error, error_size, "found \"%s\", expected one of %s",
			    value, t.field->words);
			return -1;
		}
	} else if (parse_limit(t.field, value, &t.limit) < 0) {
		snprintf(error, error_size,
		    "found the limit \"%s\", expected a number for %s, such as 300s, 1500 or 1k",
		    value, t.field->name);
		return -1;
	}
	*ret = t;
	return 0;
}

static bool
compare(double value, enum survey_threshold_op op, double limit)
{
	switch (op) {
	case SURVEY_BELOW:
		return value < limit;
	case SURVEY_AT_MOST:
		return value <= limit;
	case SURVEY_ABOVE:
		return value > limit;
	default:
		return value >= limit;
	}
}

/* A number in the unit that the field's name ends in. */
static void
show_number(const struct survey_field *field, double number, char *out, size_t size)
{
	char text[UNITS_TEXT_MAX];
	if (ends_in(field->name, "per_s"))
		snprintf(out, size, "%.6g/s", number);
	else if (ends_in(field->name, "_s"))
		snprintf(out, size, "%s",
		    units_show_duration((uint64_t)(number * (double)NS_PER_S), text));
	else if (ends_in(field->name, "_ms"))
		snprintf(out, size, "%s",
		    units_show_duration((uint64_t)(number * (double)NS_PER_MS), text));
	else if (ends_in(field->name, "_bytes"))
		snprintf(out, size, "%s", units_show_size((uint64_t)number, text));
	else if (field->kind == SURVEY_COUNT)
		snprintf(out, size, "%s", units_show_count((uint64_t)number, text));
	else
		snprintf(out, size, "%.6g", number);
}

struct survey_threshold_outcome
survey_threshold_judge(
    const struct survey_threshold *threshold, const struct survey_result *result)
{
	struct survey_threshold_outcome ret = { .threshold = *threshold };
	const struct survey_field *field = threshold->field;
	const struct survey_row *row = &result->rows[field->row];
	const struct survey_value *value = survey_get(result, field->row, field->name);
	if (value == NULL) {
		snprintf(ret.found, sizeof(ret.found), "no answer%s%.120s",
		    row->reason[0] != '\0' ? ": " : "", row->reason);
		return ret;
	}
	ret.has_answer = true;
	if (threshold->op == SURVEY_IS) {
		ret.passed = strcmp(value->text, threshold->word) == 0;
		snprintf(ret.found, sizeof(ret.found), "%s", value->text);
		return ret;
	}
	ret.passed = compare(value->number, threshold->op, threshold->limit);
	show_number(field, value->number, ret.found, sizeof(ret.found));
	return ret;
}
