#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json/json_record.h"
#include "lib/settings/settings.h"
#include "lib/units.h"

#define GROUP_LENGTH 64
#define NAME_LENGTH 256

static json_t *write_object(const struct settings *settings, const void *base);

static json_t *
write_number(const struct setting *row, uint64_t value)
{
	char text[UNITS_TEXT_MAX];
	if (value == 0 && row->flags & SETTING_AUTO)
		return json_string("auto");
	switch (row->type) {
	case SETTING_SIZE:
		return json_string(units_format_size(value, text));
	case SETTING_COUNT:
		return json_string(units_format_count(value, text));
	case SETTING_DURATION:
		return json_string(units_format_duration(value, text));
	default:
		return json_integer((json_int_t)value);
	}
}

static json_t *
write_list(const struct setting *row, const void *base)
{
	json_t *list = json_array();
	const char *items;
	size_t count;
	memcpy(&items, (const char *)base + row->offset, sizeof(items));
	memcpy(&count, (const char *)base + row->count_offset, sizeof(count));
	for (size_t i = 0; i < count; i++) {
		json_t *item = row->type == SETTING_OBJECTS
		    ? write_object(row->items, items + i * row->items->size)
		    : json_string(((char *const *)(const void *)items)[i]);
		json_record_append(&list, item);
	}
	return list;
}

static json_t *
write_value(const struct setting *row, const void *base)
{
	const char *text;
	switch (row->type) {
	case SETTING_BOOL:
		return json_boolean(settings_get(row, base));
	case SETTING_ENUM:
		return json_string(row->names[settings_get(row, base)]);
	case SETTING_STRING:
		memcpy(&text, (const char *)base + row->offset, sizeof(text));
		return json_string(text != NULL ? text : "");
	case SETTING_STRINGS:
	case SETTING_OBJECTS:
		return write_list(row, base);
	default:
		return write_number(row, settings_get(row, base));
	}
}

/* Finds or makes an object for each key before the last of a dotted name; returns the
 * innermost, borrowed. */
static json_t *
enter_groups(
    json_t *root, const char **name, json_t *(*enter)(json_t *parent, const char *key))
{
	char key[GROUP_LENGTH];
	const char *point;
	while (root != NULL && (point = strchr(*name, '.')) != NULL) {
		snprintf(key, sizeof(key), "%.*s", (int)(point - *name), *name);
		root = enter(root, key);
		*name = point + 1;
	}
	return root;
}

static json_t *
enter_object(json_t *parent, const char *key)
{
	json_t *inner = json_object_get(parent, key);
	if (inner == NULL && json_object_set_new(parent, key, json_object()) == 0)
		inner = json_object_get(parent, key);
	return inner;
}

static json_t *
write_object(const struct settings *settings, const void *base)
{
	json_t *object = json_object();
	for (const struct setting *row = settings->rows; row->name != NULL; row++) {
		const char *name = row->name;
		if (row->type == SETTING_ANNOTATION)
			continue;
		json_t *group = enter_groups(object, &name, enter_object);
		if (json_object_set_new(group, name, write_value(row, base)) < 0)
			return json_record_complete(object, -1);
	}
	return object;
}

/* Takes the reference. */
static char *
dump(json_t *json)
{
	char *text = json != NULL ? json_dumps(json, JSON_INDENT(2)) : NULL;
	json_decref(json);
	return text;
}

char *
settings_write_values(const struct settings *settings, const void *base)
{
	return dump(write_object(settings, base));
}

static void
write_origin(
    json_t *object, const struct settings *settings, const void *base, const char *name)
{
	const char *source = settings_origin_of(settings, base, name);
	json_object_set_new(
	    object, name, json_string(source != NULL ? source : "default"));
}

/* Writes the origins of all values of a struct, each by `prefix` and its name:
 * "listeners[0].reply". */
static void
write_origins(json_t *object, const struct settings *root, const void *root_base,
    const struct settings *settings, const void *base, const char *prefix)
{
	char name[NAME_LENGTH], *items;
	size_t count;
	for (const struct setting *row = settings->rows; row->name != NULL; row++) {
		if (row->type == SETTING_ANNOTATION)
			continue;
		snprintf(name, sizeof(name), "%s%s", prefix, row->name);
		if (row->type != SETTING_OBJECTS) {
			write_origin(object, root, root_base, name);
			continue;
		}
		memcpy(&items, (const char *)base + row->offset, sizeof(items));
		memcpy(&count, (const char *)base + row->count_offset, sizeof(count));
		for (size_t i = 0; i < count; i++) {
			snprintf(
			    name, sizeof(name), "%s%s[%zu].", prefix, row->name, i);
			write_origins(object, root, root_base, row->items,
			    items + i * row->items->size, name);
		}
	}
}

char *
settings_write_origins(const struct settings *settings, const void *base)
{
	json_t *object = json_object();
	write_origins(object, settings, base, settings, base, "");
	return dump(object);
}

static json_t *schema_object(const struct settings *settings);

static json_t *
schema_number(const struct setting *row)
{
	json_t *number = json_pack("{s:s, s:I, s:I}", "type", "integer", "minimum",
	    (json_int_t)(row->flags & SETTING_OFF ? 0 : row->min), "maximum",
	    (json_int_t)row->max);
	const char *pattern = NULL;
	if (row->type == SETTING_SIZE)
		pattern = "^[0-9]+(\\.[0-9]+)?[kKmMgGtT]?$";
	else if (row->type == SETTING_COUNT)
		pattern = "^[0-9]+(\\.[0-9]+)?[kKmMgG]?$";
	else if (row->type == SETTING_DURATION)
		pattern = "^(0|[0-9]+(\\.[0-9]+)?(us|ms|s|m|h))$";
	if (pattern == NULL && !(row->flags & SETTING_AUTO))
		return number;

	json_t *choices = json_array();
	if (row->type != SETTING_DURATION)
		json_array_append(choices, number);
	else if (row->flags & SETTING_OFF)
		json_array_append_new(choices, json_pack("{s:i}", "const", 0));
	json_decref(number);
	if (pattern != NULL)
		json_array_append_new(choices,
		    json_pack("{s:s, s:s}", "type", "string", "pattern", pattern));
	if (row->flags & SETTING_AUTO)
		json_array_append_new(choices, json_pack("{s:s}", "const", "auto"));
	return json_pack("{s:o}", "anyOf", choices);
}

static json_t *
schema_names(const struct setting *row)
{
	json_t *names = json_array();
	for (size_t i = 0; row->names[i] != NULL; i++)
		json_array_append_new(names, json_string(row->names[i]));
	return json_pack("{s:o}", "enum", names);
}

static json_t *
schema_string(const struct setting *row, bool may_be_empty)
{
	json_t *schema = json_pack("{s:s}", "type", "string");
	if (row->pattern != NULL)
		json_object_set_new(schema, "pattern",
		    json_sprintf("%s%s", may_be_empty ? "^$|" : "", row->pattern));
	else if (!may_be_empty)
		json_object_set_new(schema, "minLength", json_integer(1));
	return schema;
}

static json_t *
schema_list(const struct setting *row)
{
	json_t *items = row->type == SETTING_OBJECTS ? schema_object(row->items)
						     : schema_string(row, false);
	json_t *schema = json_pack("{s:s, s:o}", "type", "array", "items", items);
	if (row->min > 0)
		json_object_set_new(
		    schema, "minItems", json_integer((json_int_t)row->min));
	if (row->max > 0)
		json_object_set_new(
		    schema, "maxItems", json_integer((json_int_t)row->max));
	return schema;
}

static json_t *
schema_value(const struct setting *row)
{
	switch (row->type) {
	case SETTING_BOOL:
		return json_pack("{s:s}", "type", "boolean");
	case SETTING_ENUM:
		return schema_names(row);
	case SETTING_STRING:
	case SETTING_ANNOTATION:
		return schema_string(row, !(row->flags & SETTING_REQUIRED));
	case SETTING_STRINGS:
	case SETTING_OBJECTS:
		return schema_list(row);
	default:
		return schema_number(row);
	}
}

static json_t *
empty_schema_object(void)
{
	return json_pack("{s:s, s:b, s:{}}", "type", "object", "additionalProperties",
	    0, "properties");
}

static json_t *
enter_schema(json_t *parent, const char *key)
{
	json_t *properties = json_object_get(parent, "properties");
	json_t *inner = json_object_get(properties, key);
	if (inner == NULL &&
	    json_object_set_new(properties, key, empty_schema_object()) == 0)
		inner = json_object_get(properties, key);
	return inner;
}

/* Adds a row to the schema of its object. `base` holds the defaults. */
static int
add_property(json_t *object, const struct setting *row, const void *base)
{
	const char *name = row->name;
	json_t *group = enter_groups(object, &name, enter_schema);
	json_t *schema = schema_value(row);
	json_object_set_new(schema, "description", json_string(row->help));
	bool required = row->flags & SETTING_REQUIRED && row->initial == NULL;
	if (row->type != SETTING_ANNOTATION && !required)
		json_object_set_new(schema, "default", write_value(row, base));
	if (required && json_object_get(group, "required") == NULL)
		json_object_set_new(group, "required", json_array());
	if (required)
		json_array_append_new(
		    json_object_get(group, "required"), json_string(name));
	return json_object_set_new(json_object_get(group, "properties"), name, schema);
}

static json_t *
schema_object(const struct settings *settings)
{
	json_t *object = empty_schema_object();
	void *base = calloc(1, settings->size);
	char error[256];
	int rc = -1;
	if (base != NULL)
		rc = settings_read_defaults(settings, base, error, sizeof(error));
	for (const struct setting *row = settings->rows; rc == 0 && row->name != NULL;
	     row++)
		rc = add_property(object, row, base);
	if (base != NULL)
		settings_finish(settings, base);
	free(base);
	return json_record_complete(object, rc);
}

char *
settings_write_schema(const struct settings *settings)
{
	json_t *body = schema_object(settings);
	json_t *schema = json_pack("{s:s, s:s}", "$schema",
	    "http://json-schema.org/draft-07/schema#", "title", settings->title);
	int rc = body == NULL ? -1 : json_object_update(schema, body);
	json_decref(body);
	return dump(json_record_complete(schema, rc));
}
