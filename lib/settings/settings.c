#include "lib/settings/settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/units.h"

#define NAME_MAX_LENGTH 128

const struct setting *
settings_find(const struct settings *settings, const char *name)
{
	for (const struct setting *row = settings->rows; row->name != NULL; row++)
		if (strcmp(row->name, name) == 0)
			return row;
	return NULL;
}

bool
settings_is_group(const struct settings *settings, const char *name)
{
	size_t length = strlen(name);
	for (const struct setting *row = settings->rows; row->name != NULL; row++)
		if (strncmp(row->name, name, length) == 0 && row->name[length] == '.')
			return true;
	return false;
}

static void
walk(const struct settings *settings, const char *prefix, settings_visitor visit,
    void *arg)
{
	char name[NAME_MAX_LENGTH];
	for (const struct setting *row = settings->rows; row->name != NULL; row++) {
		snprintf(name, sizeof(name), "%s%s", prefix, row->name);
		visit(name, row, arg);
		if (row->type == SETTING_OBJECTS) {
			snprintf(name, sizeof(name), "%s%s[].", prefix, row->name);
			walk(row->items, name, visit, arg);
		}
	}
}

void
settings_walk(const struct settings *settings, settings_visitor visit, void *arg)
{
	walk(settings, "", visit, arg);
}

static void
expected_number(const struct setting *row, char *buffer)
{
	static const struct {
		const char *(*format)(uint64_t value, char *buffer);
		const char *name, *example;
	} kinds[] = {
		[SETTING_SIZE] = { units_format_size, "size", "64k" },
		[SETTING_COUNT] = { units_format_count, "count", "10k" },
		[SETTING_DURATION] = { units_format_duration, "duration", "30s" },
	};
	char low[UNITS_TEXT_MAX], high[UNITS_TEXT_MAX];
	const char *automatic = row->flags & SETTING_AUTO ? " or \"auto\"" : "";
	const char *off = row->flags & SETTING_OFF ? "; 0 is off" : "";
	if (row->type == SETTING_INTEGER)
		snprintf(buffer, SETTINGS_EXPECTED_MAX,
		    "a whole number from %" PRIu64 " to %" PRIu64 "%s%s", row->min,
		    row->max, off[0] == '\0' ? "" : " (0 is off)", automatic);
	else
		snprintf(buffer, SETTINGS_EXPECTED_MAX,
		    "a %s from %s to %s (as \"%s\"%s)%s", kinds[row->type].name,
		    kinds[row->type].format(row->min, low),
		    kinds[row->type].format(row->max, high), kinds[row->type].example,
		    off, automatic);
}

static void
expected_name(const struct setting *row, char *buffer)
{
	size_t used = 0;
	for (size_t i = 0; row->names[i] != NULL && used < SETTINGS_EXPECTED_MAX; i++) {
		bool last = i > 0 && row->names[i + 1] == NULL;
		used += (size_t)snprintf(buffer + used, SETTINGS_EXPECTED_MAX - used,
		    "%s\"%s\"",
		    i == 0     ? ""
			: last ? " or "
			       : ", ",
		    row->names[i]);
	}
}

static void
expected_list(const struct setting *row, const char *what, char *buffer)
{
	if (row->max > 0)
		snprintf(buffer, SETTINGS_EXPECTED_MAX,
		    "a list of %" PRIu64 " to %" PRIu64 " %s", row->min, row->max,
		    what);
	else
		snprintf(buffer, SETTINGS_EXPECTED_MAX, "a list of %s", what);
}

const char *
settings_expected(const struct setting *row, char *buffer)
{
	switch (row->type) {
	case SETTING_BOOL:
		return strcpy(buffer, "true or false");
	case SETTING_ENUM:
		expected_name(row, buffer);
		break;
	case SETTING_STRING:
	case SETTING_ANNOTATION:
		return strcpy(buffer, "a string");
	case SETTING_STRINGS:
		expected_list(row, "strings (as [\"a\", \"b\"])", buffer);
		break;
	case SETTING_OBJECTS:
		expected_list(row, "objects", buffer);
		break;
	default:
		expected_number(row, buffer);
	}
	return buffer;
}

uint64_t
settings_get(const struct setting *row, const void *base)
{
	const char *field = (const char *)base + row->offset;
	uint64_t large;
	uint32_t small;
	if (row->size == sizeof(large)) {
		memcpy(&large, field, sizeof(large));
		return large;
	}
	if (row->size == sizeof(small)) {
		memcpy(&small, field, sizeof(small));
		return small;
	}
	return *(const bool *)field;
}

void
settings_put(const struct setting *row, void *base, uint64_t value)
{
	char *field = (char *)base + row->offset;
	uint32_t small = (uint32_t)value;
	if (row->size == sizeof(value))
		memcpy(field, &value, sizeof(value));
	else if (row->size == sizeof(small))
		memcpy(field, &small, sizeof(small));
	else
		*(bool *)field = value != 0;
}

static void
finish_row(const struct setting *row, void *base)
{
	char *field = (char *)base + row->offset;
	size_t *count = (size_t *)(void *)((char *)base + row->count_offset);
	void *owned;
	if (row->type != SETTING_STRING && row->type != SETTING_STRINGS &&
	    row->type != SETTING_OBJECTS)
		return;
	memcpy(&owned, field, sizeof(owned));
	if (row->type == SETTING_STRINGS)
		for (size_t i = 0; i < *count; i++)
			free(((char **)owned)[i]);
	if (row->type == SETTING_OBJECTS)
		for (size_t i = 0; i < *count; i++)
			settings_finish(
			    row->items, (char *)owned + i * row->items->size);
	free(owned);
	memset(field, 0, sizeof(owned));
	if (row->type != SETTING_STRING)
		*count = 0;
}

void
settings_finish(const struct settings *settings, void *base)
{
	for (const struct setting *row = settings->rows; row->name != NULL; row++)
		finish_row(row, base);
	settings_origin_finish(settings, base);
}
