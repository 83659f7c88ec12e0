#include "lib/json/json_record.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json/json_load.h"
#include "lib/printable.h"

#define PATH_MAX_BYTES 128

static size_t *
count_of(const struct json_record_field *field, const void *record)
{
	return (size_t *)(void *)((char *)record + field->count_offset);
}

json_t *
json_record_complete(json_t *value, int status)
{
	if (value != NULL && status == 0)
		return value;
	json_decref(value);
	return NULL;
}

void
json_record_put(json_t **object, const char *key, json_t *value)
{
	*object =
	    json_record_complete(*object, json_object_set_new(*object, key, value));
}

void
json_record_append(json_t **array, json_t *value)
{
	*array = json_record_complete(*array, json_array_append_new(*array, value));
}

static json_t *
write_real(double number)
{
	return isfinite(number) ? json_real(number) : json_null();
}

json_t *
json_record_text(const char *text)
{
	if (text == NULL)
		return json_null();
	json_t *value = json_load_string(text);
	return value != NULL || errno == ENOMEM ? value : json_string("?");
}

static json_t *
write_texts(char *const *texts, size_t count)
{
	json_t *to = json_array();
	for (size_t i = 0; i < count; i++)
		json_record_append(&to, json_record_text(texts[i]));
	return to;
}

static json_t *
write_counts(const char *const *names, const uint64_t *counts)
{
	json_t *to = json_object();
	for (size_t i = 0; names[i] != NULL; i++)
		json_record_put(&to, names[i], json_integer((json_int_t)counts[i]));
	return to;
}

static json_t *
write_field(const struct json_record_field *field, const void *record)
{
	const uint64_t *count = JSON_RECORD_AT(field, record, const uint64_t);
	switch (field->kind) {
	case JSON_RECORD_COUNT:
	case JSON_RECORD_WORD:
		return json_integer((json_int_t)*count);
	case JSON_RECORD_INT:
		return json_integer(*JSON_RECORD_AT(field, record, const int));
	case JSON_RECORD_UINT32:
		return json_integer(*JSON_RECORD_AT(field, record, const uint32_t));
	case JSON_RECORD_COUNT_OR_NULL:
		return *count == UINT64_MAX ? json_null()
					    : json_integer((json_int_t)*count);
	case JSON_RECORD_REAL:
	case JSON_RECORD_REAL_OR_NULL:
		return write_real(*JSON_RECORD_AT(field, record, const double));
	case JSON_RECORD_FLAG:
		return json_boolean(*JSON_RECORD_AT(field, record, const bool));
	case JSON_RECORD_TEXT:
		return json_record_text(*JSON_RECORD_AT(field, record, char *const));
	case JSON_RECORD_TEXTS:
		return write_texts(*JSON_RECORD_AT(field, record, char **const),
		    *count_of(field, record));
	case JSON_RECORD_COUNTS:
		return write_counts(field->names, count);
	case JSON_RECORD_PART:
		return json_record_write(field->part, count);
	}
	return NULL;
}

json_t *
json_record_write(const struct json_record_field *fields, const void *record)
{
	json_t *to = json_object();
	for (; fields->name != NULL; fields++)
		json_record_put(&to, fields->name, write_field(fields, record));
	return to;
}

static void
read_texts(const struct json_record_field *field, struct json_reader *reader,
    const json_t *from, const char *where, void *record)
{
	const json_t *array =
	    json_reader_member(reader, from, where, field->name, JSON_ARRAY);
	char **texts = json_reader_room(reader, array, field->name, sizeof(*texts));
	size_t *count = count_of(field, record), i;
	const json_t *one;
	*JSON_RECORD_AT(field, record, char **) = texts;
	*count = 0;
	json_array_foreach(array, i, one)
	{
		if (texts == NULL)
			break;
		if (!json_is_string(one))
			json_reader_fail(
			    reader, where, field->name, "expected strings");
		else if ((texts[*count] = strdup(json_string_value(one))) != NULL)
			printable_sanitize(texts[(*count)++]);
		else
			json_reader_fail_memory(reader, where, field->name);
	}
}

static const char *
path_of(const char *where, const char *name, char *path)
{
	snprintf(
	    path, PATH_MAX_BYTES, "%s%s%s", where, *where != '\0' ? "." : "", name);
	return path;
}

static void
read_counts(const struct json_record_field *field, struct json_reader *reader,
    const json_t *from, const char *where, uint64_t *ret)
{
	if (field->may_miss && json_object_get(from, field->name) == NULL)
		return;
	const json_t *counts =
	    json_reader_member(reader, from, where, field->name, JSON_OBJECT);
	char path[PATH_MAX_BYTES];
	path_of(where, field->name, path);
	for (size_t i = 0; field->names[i] != NULL; i++)
		ret[i] = json_reader_count(reader, counts, path, field->names[i]);
}

static void
read_part(const struct json_record_field *field, struct json_reader *reader,
    const json_t *from, const char *where, void *part)
{
	char path[PATH_MAX_BYTES];
	if (field->may_miss && json_object_get(from, field->name) == NULL)
		return;
	json_record_read(field->part, reader,
	    json_reader_member(reader, from, where, field->name, JSON_OBJECT),
	    path_of(where, field->name, path), part);
}

static int64_t
read_bounded(const struct json_record_field *field, struct json_reader *reader,
    const json_t *from, const char *where, int64_t type_max)
{
	int64_t max = field->max != 0 ? field->max : type_max;
	int64_t number = (int64_t)json_reader_word(reader, from, where, field->name);
	if (number < field->min || number > max)
		json_reader_fail(reader, where, field->name, "out of range");
	return number >= field->min && number <= max ? number : field->min;
}

static void
read_field(const struct json_record_field *field, struct json_reader *reader,
    const json_t *from, const char *where, void *record)
{
	uint64_t *count = JSON_RECORD_AT(field, record, uint64_t);
	double *real = JSON_RECORD_AT(field, record, double);
	switch (field->kind) {
	case JSON_RECORD_COUNT:
		*count = json_reader_count(reader, from, where, field->name);
		break;
	case JSON_RECORD_INT:
		*JSON_RECORD_AT(field, record, int) =
		    (int)read_bounded(field, reader, from, where, INT_MAX);
		break;
	case JSON_RECORD_UINT32:
		*JSON_RECORD_AT(field, record, uint32_t) =
		    (uint32_t)read_bounded(field, reader, from, where, UINT32_MAX);
		break;
	case JSON_RECORD_COUNT_OR_NULL:
		*count = json_is_null(json_object_get(from, field->name))
		    ? UINT64_MAX
		    : json_reader_count(reader, from, where, field->name);
		break;
	case JSON_RECORD_WORD:
		*count = json_reader_word(reader, from, where, field->name);
		break;
	case JSON_RECORD_REAL:
		*real = json_reader_real(reader, from, where, field->name);
		break;
	case JSON_RECORD_REAL_OR_NULL:
		*real = json_reader_real_or_null(reader, from, where, field->name);
		break;
	case JSON_RECORD_FLAG:
		*JSON_RECORD_AT(field, record, bool) =
		    json_reader_flag(reader, from, where, field->name);
		break;
	case JSON_RECORD_TEXT:
		*JSON_RECORD_AT(field, record, char *) =
		    json_reader_text(reader, from, where, field->name);
		break;
	case JSON_RECORD_TEXTS:
		read_texts(field, reader, from, where, record);
		break;
	case JSON_RECORD_COUNTS:
		read_counts(field, reader, from, where, count);
		break;
	case JSON_RECORD_PART:
		read_part(field, reader, from, where, count);
		break;
	}
}

void
json_record_read(const struct json_record_field *fields, struct json_reader *reader,
    const json_t *from, const char *where, void *record)
{
	for (; fields->name != NULL; fields++)
		read_field(fields, reader, from, where, record);
}

static void
add_count(enum json_record_sum how, uint64_t *to, uint64_t from)
{
	if (how == JSON_RECORD_SUM && __builtin_add_overflow(*to, from, to))
		*to = UINT64_MAX;
	else if (how == JSON_RECORD_MOST && from > *to)
		*to = from;
}

static void
add_real(enum json_record_sum how, double *to, double from)
{
	if (how == JSON_RECORD_SUM)
		*to += from;
	else if (how == JSON_RECORD_MOST)
		*to = fmax(*to, from);
}

static void
add_field(const struct json_record_field *field, void *to, const void *from)
{
	switch (field->kind) {
	case JSON_RECORD_COUNT:
		add_count(field->sum, JSON_RECORD_AT(field, to, uint64_t),
		    *JSON_RECORD_AT(field, from, const uint64_t));
		break;
	case JSON_RECORD_REAL:
		add_real(field->sum, JSON_RECORD_AT(field, to, double),
		    *JSON_RECORD_AT(field, from, const double));
		break;
	case JSON_RECORD_FLAG:
		if (field->sum == JSON_RECORD_MOST &&
		    *JSON_RECORD_AT(field, from, const bool))
			*JSON_RECORD_AT(field, to, bool) = true;
		break;
	case JSON_RECORD_COUNTS:
		for (size_t i = 0; field->names[i] != NULL; i++)
			add_count(field->sum, JSON_RECORD_AT(field, to, uint64_t) + i,
			    JSON_RECORD_AT(field, from, const uint64_t)[i]);
		break;
	case JSON_RECORD_PART:
		json_record_add(field->part, JSON_RECORD_AT(field, to, char),
		    JSON_RECORD_AT(field, from, const char));
		break;
	default:
		break;
	}
}

void
json_record_add(const struct json_record_field *fields, void *to, const void *from)
{
	for (; fields->name != NULL; fields++)
		add_field(fields, to, from);
}

static bool
real_fits(double real)
{
	return real == 0 || (real >= JSON_READER_MIN && real <= JSON_READER_MAX);
}

static bool
fits(const struct json_record_field *field, const void *record)
{
	const uint64_t *counts = JSON_RECORD_AT(field, record, const uint64_t);
	const double *real = JSON_RECORD_AT(field, record, const double);
	switch (field->kind) {
	case JSON_RECORD_COUNT:
		return *counts <= INT64_MAX;
	case JSON_RECORD_COUNT_OR_NULL:
		return *counts <= INT64_MAX || *counts == UINT64_MAX;
	case JSON_RECORD_REAL:
		return real_fits(*real);
	case JSON_RECORD_REAL_OR_NULL:
		return real_fits(*real) || !isfinite(*real);
	case JSON_RECORD_COUNTS:
		for (size_t i = 0; field->names[i] != NULL; i++)
			if (counts[i] > INT64_MAX)
				return false;
		return true;
	case JSON_RECORD_PART:
		return json_record_fits(field->part, counts);
	default:
		return true;
	}
}

bool
json_record_fits(const struct json_record_field *fields, const void *record)
{
	for (; fields->name != NULL; fields++)
		if (!fits(fields, record))
			return false;
	return true;
}

int
json_record_copy_texts(const struct json_record_field *fields, void *copy)
{
	int status = 0;
	for (; fields->name != NULL; fields++) {
		if (fields->kind == JSON_RECORD_PART &&
		    json_record_copy_texts(
			fields->part, JSON_RECORD_AT(fields, copy, char)) != 0)
			status = -1;
		if (fields->kind != JSON_RECORD_TEXT)
			continue;
		char **text = JSON_RECORD_AT(fields, copy, char *);
		*text = strdup(*text != NULL ? *text : "");
		if (*text == NULL)
			status = -1;
	}
	return status;
}

static void
finish_texts(const struct json_record_field *field, void *record)
{
	char **texts = *JSON_RECORD_AT(field, record, char **);
	for (size_t i = 0; i < *count_of(field, record); i++)
		free(texts[i]);
	free(texts);
}

void
json_record_finish(const struct json_record_field *fields, void *record)
{
	for (; fields->name != NULL; fields++) {
		if (fields->kind == JSON_RECORD_TEXT)
			free(*JSON_RECORD_AT(fields, record, char *));
		else if (fields->kind == JSON_RECORD_TEXTS)
			finish_texts(fields, record);
		else if (fields->kind == JSON_RECORD_PART)
			json_record_finish(
			    fields->part, JSON_RECORD_AT(fields, record, char));
	}
}

bool
json_record_equals(
    const struct json_record_field *field, const void *record, const void *other)
{
	json_t *a = write_field(field, record), *b = write_field(field, other);
	bool is_equal = json_equal(a, b);
	json_decref(a);
	json_decref(b);
	return is_equal;
}
