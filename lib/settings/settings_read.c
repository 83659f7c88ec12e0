#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json/json_comments.h"
#include "lib/json/json_load.h"
#include "lib/settings/settings_reader.h"
#include "lib/units.h"

#define KEY_LENGTH 128

/* 0, or -1 if it is not a number of the row's kind. Does not check bounds. */
static int
parse_number(const struct setting *row, const json_t *json, uint64_t *ret)
{
	const char *text = json_string_value(json);
	if (json_is_integer(json)) {
		json_int_t number = json_integer_value(json);
		if (number < 0 || (row->type == SETTING_DURATION && number != 0))
			return -1;
		*ret = (uint64_t)number;
		return 0;
	}
	if (text == NULL || strlen(text) != json_string_length(json))
		return -1;
	switch (row->type) {
	case SETTING_SIZE:
		return units_parse_size(text, ret);
	case SETTING_COUNT:
		return units_parse_count(text, ret);
	case SETTING_DURATION:
		return units_parse_duration(text, ret);
	default:
		return -1;
	}
}

static int
read_number(struct settings_reader *reader, const struct setting *row, void *base,
    const json_t *json, const struct settings_place *place)
{
	uint64_t value;
	if (row->flags & SETTING_AUTO && json_is_string(json) &&
	    strcmp(json_string_value(json), "auto") == 0) {
		settings_put(row, base, 0);
		return 0;
	}
	if (parse_number(row, json, &value) != 0)
		return settings_error_row(reader, place, json, row);
	bool off = value == 0 && row->flags & SETTING_OFF;
	if (!off && (value < row->min || value > row->max))
		return settings_error_row(reader, place, json, row);
	settings_put(row, base, value);
	return 0;
}

static int
read_name(struct settings_reader *reader, const struct setting *row, void *base,
    const json_t *json, const struct settings_place *place)
{
	const char *text = json_string_value(json);
	for (uint64_t i = 0; text != NULL && row->names[i] != NULL; i++) {
		if (strcmp(row->names[i], text) == 0) {
			settings_put(row, base, i);
			return 0;
		}
	}
	return settings_error_row(reader, place, json, row);
}

/* Copies a string that passes the row's check to *ret; NULL for "". */
static int
read_text(struct settings_reader *reader, const struct setting *row, const json_t *json,
    const struct settings_place *place, char **ret)
{
	const char *text = json_string_value(json);
	char problem[256];
	if (text == NULL)
		return settings_error_value(reader, place, json, "a string");
	if (*text != '\0' && row->check != NULL &&
	    row->check(text, problem, sizeof(problem)) != 0)
		return settings_error_check(reader, place, problem);
	char *copy = *text != '\0' ? strdup(text) : NULL;
	if (copy == NULL && *text != '\0')
		return settings_error_memory(reader);
	*ret = copy;
	return 0;
}

static int
read_string(struct settings_reader *reader, const struct setting *row, void *base,
    const json_t *json, const struct settings_place *place)
{
	char **field = (char **)(void *)((char *)base + row->offset);
	char *text = NULL;
	if (json_is_string(json) && *json_string_value(json) == '\0' &&
	    row->flags & SETTING_REQUIRED)
		return settings_error_value(
		    reader, place, json, "a string that is not empty");
	if (read_text(reader, row, json, place, &text) != 0)
		return -1;
	free(*field);
	*field = text;
	return 0;
}

static int read_object(struct settings_reader *reader,
    const struct settings_target *target, const json_t *json,
    const struct settings_place *place);

static int
read_item(struct settings_reader *reader, const struct setting *row, void *item,
    const json_t *json, const struct settings_place *place)
{
	if (row->type == SETTING_OBJECTS) {
		struct settings_target target = { row->items, item, "" };
		if (!json_is_object(json))
			return settings_error_value(reader, place, json, "an object");
		if (settings_read_defaults(
			row->items, item, reader->error, reader->error_size) < 0)
			return -1;
		return read_object(reader, &target, json, place);
	}
	if (json_is_string(json) && *json_string_value(json) == '\0')
		return settings_error_value(
		    reader, place, json, "a string that is not empty");
	return read_text(reader, row, json, place, item);
}

/* Reads the new list into a struct of this row alone, then swaps it with the old one.
 */
static int
read_list(struct settings_reader *reader, const struct setting *row, void *base,
    const json_t *json, const struct settings_place *place)
{
	size_t count = json_array_size(json);
	size_t size = row->type == SETTING_OBJECTS ? row->items->size : sizeof(char *);
	struct list {
		char *items;
		size_t count;
	} list = { NULL, 0 };
	struct setting rows[2] = { *row, { .name = NULL } };
	struct settings owner = { .rows = rows, .size = sizeof(list) };
	int rc = 0;
	if (!json_is_array(json) || count < row->min ||
	    (row->max > 0 && count > row->max))
		return settings_error_row(reader, place, json, row);
	if (count > 0 && (list.items = calloc(count, size)) == NULL)
		return settings_error_memory(reader);
	for (; rc == 0 && list.count < count; list.count++) {
		struct settings_place at = { place, NULL, list.count };
		rc = read_item(reader, row, list.items + list.count * size,
		    json_array_get(json, list.count), &at);
	}
	if (rc == 0) { /* swap; the old list is freed below */
		struct list old = { NULL, 0 };
		char *field = (char *)base + row->offset;
		size_t *field_count =
		    (size_t *)(void *)((char *)base + row->count_offset);
		memcpy(&old.items, field, sizeof(old.items));
		old.count = *field_count;
		memcpy(field, &list.items, sizeof(list.items));
		*field_count = list.count;
		list = old;
	}
	rows[0].offset = offsetof(struct list, items);
	rows[0].count_offset = offsetof(struct list, count);
	settings_finish(&owner, &list);
	return rc;
}

static int
read_kind(struct settings_reader *reader, const struct setting *row, void *base,
    const json_t *json, const struct settings_place *place)
{
	switch (row->type) {
	case SETTING_BOOL:
		if (!json_is_boolean(json))
			return settings_error_row(reader, place, json, row);
		settings_put(row, base, json_is_true(json));
		return 0;
	case SETTING_ENUM:
		return read_name(reader, row, base, json, place);
	case SETTING_STRING:
		return read_string(reader, row, base, json, place);
	case SETTING_STRINGS:
	case SETTING_OBJECTS:
		return read_list(reader, row, base, json, place);
	case SETTING_ANNOTATION:
		return json_is_string(json)
		    ? 0
		    : settings_error_row(reader, place, json, row);
	default:
		return read_number(reader, row, base, json, place);
	}
}

/* Reads the value of a row and records its source; for a list of objects the sources of
 * the items' values. */
static int
read_value(struct settings_reader *reader, const struct setting *row, void *base,
    const json_t *json, const struct settings_place *place)
{
	char name[SETTINGS_PLACE_MAX];
	settings_place_format(place, name, sizeof(name));
	if (row->type == SETTING_OBJECTS && reader->base != NULL)
		settings_origin_forget(reader->settings, reader->base, name);
	if (read_kind(reader, row, base, json, place) != 0)
		return -1;
	if (reader->base == NULL || row->type == SETTING_OBJECTS ||
	    row->type == SETTING_ANNOTATION ||
	    settings_origin_set(reader->settings, reader->base, name, reader->source) ==
		0)
		return 0;
	return settings_error_memory(reader);
}

static int
read_member(struct settings_reader *reader, const struct settings_target *target,
    const json_t *json, const struct settings_place *place)
{
	char name[KEY_LENGTH], group[KEY_LENGTH + 1];
	struct settings_target inner = { target->settings, target->base, group };
	int n = snprintf(name, sizeof(name), "%s%s", target->group, place->key);
	if (n >= (int)sizeof(name) || strchr(place->key, '.') != NULL)
		return settings_error_key(reader, target, place);
	const struct setting *row = settings_find(target->settings, name);
	if (row != NULL)
		return read_value(reader, row, target->base, json, place);
	if (!settings_is_group(target->settings, name))
		return settings_error_key(reader, target, place);
	if (!json_is_object(json))
		return settings_error_value(reader, place, json, "an object");
	snprintf(group, sizeof(group), "%s.", name);
	return read_object(reader, &inner, json, place);
}

static int
read_object(struct settings_reader *reader, const struct settings_target *target,
    const json_t *json, const struct settings_place *place)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)json, key, value)
	{
		struct settings_place member = { place, key, 0 };
		if (read_member(reader, target, value, &member) != 0)
			return -1;
	}
	if (target->group[0] != '\0')
		return 0;
	for (const struct setting *row = target->settings->rows; row->name != NULL;
	     row++) {
		const char *text;
		if (!(row->flags & SETTING_REQUIRED))
			continue;
		memcpy(&text, (char *)target->base + row->offset, sizeof(text));
		if (text == NULL)
			return settings_error_missing(reader, place, row);
	}
	return 0;
}

static int
read_blanked(struct settings_reader *reader, void *base)
{
	struct settings_target target = { reader->settings, base, "" };
	json_error_t error;
	json_t *json = json_load_text(
	    reader->text, reader->length, JSON_REJECT_DUPLICATES, &error);
	if (json == NULL)
		return errno == ENOMEM ? settings_error_memory(reader)
				       : settings_error_syntax(reader, &error);
	int rc = json_is_object(json)
	    ? read_object(reader, &target, json, NULL)
	    : settings_error_at(reader, 0, "found a list, expected an object, { ... }");
	json_decref(json);
	return rc;
}

int
settings_read_text(const struct settings *settings, void *base, const char *source,
    const char *text, size_t length, char *error, size_t error_size)
{
	char *blanked = malloc(length + 1);
	struct settings_reader reader = { settings, source, text, blanked, length,
		error, error_size, base };
	size_t at;
	int rc;
	if (blanked == NULL)
		return settings_error_memory(&reader);
	memcpy(blanked, text, length);
	blanked[length] = '\0';
	const char *nul = memchr(text, '\0', length);
	if (nul != NULL)
		rc = settings_error_binary(&reader, (size_t)(nul - text));
	else if (json_comments_blank(blanked, length, &at) < 0)
		rc = settings_error_at(
		    &reader, at, "found a comment without an end, expected \"*/\"");
	else if ((at = json_comments_find_binary(blanked, length)) < length)
		rc = settings_error_binary(&reader, at);
	else if (blanked[strspn(blanked, " \t\r\n")] == '\0')
		rc = settings_error_at(&reader, SETTINGS_NOWHERE,
		    "found nothing, expected an object, { ... }");
	else
		rc = read_blanked(&reader, base);
	free(blanked);
	return rc;
}

/* JSON of a value as written on a command line or in the table; NULL with errno ENOMEM,
 * or 0 for invalid UTF-8. */
static json_t *
value_of(const struct setting *row, const char *text)
{
	if (row->type != SETTING_BOOL && row->type != SETTING_INTEGER &&
	    row->type != SETTING_STRINGS && row->type != SETTING_OBJECTS)
		return json_load_string(text);
	json_t *json = json_load_text(
	    text, strlen(text), JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
	return json != NULL || errno == ENOMEM ? json : json_load_string(text);
}

int
settings_read_row(struct settings_reader *reader, const struct setting *row, void *base,
    const char *text, const struct settings_place *place)
{
	json_t *json = value_of(row, text);
	if (json == NULL && errno == ENOMEM)
		return settings_error_memory(reader);
	if (json == NULL)
		return settings_error_at(reader, SETTINGS_NOWHERE,
		    "%s: found invalid UTF-8, expected text", row->name);
	int rc = read_value(reader, row, base, json, place);
	json_decref(json);
	return rc;
}

int
settings_read_defaults(
    const struct settings *settings, void *base, char *error, size_t error_size)
{
	struct settings_reader reader = { .settings = settings,
		.source = "defaults",
		.error = error,
		.error_size = error_size };
	for (const struct setting *row = settings->rows; row->name != NULL; row++) {
		struct settings_place place = { NULL, row->name, 0 };
		if (row->initial != NULL &&
		    settings_read_row(&reader, row, base, row->initial, &place) != 0)
			return -1;
	}
	return 0;
}
