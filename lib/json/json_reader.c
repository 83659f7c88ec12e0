#include "lib/json/json_reader.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/printable.h"

void
json_reader_fail(
    struct json_reader *reader, const char *where, const char *key, const char *what)
{
	if (!reader->failed)
		snprintf(reader->error, reader->error_size, "%s%s%s: %s", where,
		    *where != '\0' && *key != '\0' ? "." : "", key, what);
	reader->failed = true;
}

void
json_reader_fail_memory(struct json_reader *reader, const char *where, const char *key)
{
	json_reader_fail(reader, where, key, "out of memory");
	reader->out_of_memory = true;
}

json_t *
json_reader_member(struct json_reader *reader, const json_t *from, const char *where,
    const char *key, json_type type)
{
	json_t *value = json_object_get(from, key);
	if (value != NULL && json_typeof(value) == type)
		return value;
	json_reader_fail(reader, where, key,
	    value == NULL            ? "not found"
		: type == JSON_ARRAY ? "expected an array"
				     : "expected an object");
	return NULL;
}

static const json_t *
find(struct json_reader *reader, const json_t *from, const char *where, const char *key)
{
	const json_t *value = json_object_get(from, key);
	if (value == NULL && reader->requires_all)
		json_reader_fail(reader, where, key, "not found");
	return value;
}

uint64_t
json_reader_word(
    struct json_reader *reader, const json_t *from, const char *where, const char *key)
{
	const json_t *value = find(reader, from, where, key);
	if (value != NULL && !json_is_integer(value))
		json_reader_fail(reader, where, key, "expected a whole number");
	return (uint64_t)json_integer_value(value);
}

uint64_t
json_reader_count(
    struct json_reader *reader, const json_t *from, const char *where, const char *key)
{
	uint64_t word = json_reader_word(reader, from, where, key);
	if (word <= INT64_MAX)
		return word;
	json_reader_fail(reader, where, key, "expected a number of at least 0");
	return 0;
}

double
json_reader_real(
    struct json_reader *reader, const json_t *from, const char *where, const char *key)
{
	const json_t *value = find(reader, from, where, key);
	double number = json_number_value(value);
	if (value != NULL && !json_is_number(value))
		json_reader_fail(reader, where, key, "expected a number");
	else if (number < 0 || number > JSON_READER_MAX)
		json_reader_fail(
		    reader, where, key, "expected a number from 0 to 1e18");
	return number < JSON_READER_MIN ? 0 : number;
}

double
json_reader_real_or_null(
    struct json_reader *reader, const json_t *from, const char *where, const char *key)
{
	return json_is_null(json_object_get(from, key))
	    ? NAN
	    : json_reader_real(reader, from, where, key);
}

bool
json_reader_flag(
    struct json_reader *reader, const json_t *from, const char *where, const char *key)
{
	const json_t *value = find(reader, from, where, key);
	if (value != NULL && !json_is_boolean(value))
		json_reader_fail(reader, where, key, "expected true or false");
	return json_is_true(value);
}

char *
json_reader_text(
    struct json_reader *reader, const json_t *from, const char *where, const char *key)
{
	const json_t *value = find(reader, from, where, key);
	char *copy;
	if (value != NULL && !json_is_string(value) && !json_is_null(value))
		json_reader_fail(reader, where, key, "expected a string");
	copy = strdup(json_is_string(value) ? json_string_value(value) : "");
	if (copy == NULL)
		json_reader_fail_memory(reader, where, key);
	return copy != NULL ? printable_sanitize(copy) : NULL;
}

void *
json_reader_room(
    struct json_reader *reader, const json_t *array, const char *key, size_t size)
{
	void *room;
	if (json_array_size(array) == 0)
		return NULL;
	room = calloc(json_array_size(array), size);
	if (room == NULL)
		json_reader_fail_memory(reader, "", key);
	return room;
}
