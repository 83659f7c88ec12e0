#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/settings/settings_reader.h"

#define KEY_LENGTH 128

/* A dotted key that is not a row: names the first unknown part. */
static int
reject_dotted(struct settings_reader *reader, const struct settings_target *target,
    char *key, const struct settings_place *parent)
{
	char group[KEY_LENGTH] = "", prefix[KEY_LENGTH + 1] = "";
	struct settings_place above = { parent, group, 0 }, place = { parent, key, 0 };
	struct settings_target inner = { target->settings, target->base, prefix };
	char *point;
	while ((point = strchr(place.key, '.')) != NULL) {
		snprintf(group, sizeof(group), "%.*s", (int)(point - key), key);
		if (!settings_is_group(target->settings, group)) {
			*point = '\0';
			break;
		}
		snprintf(prefix, sizeof(prefix), "%s.", group);
		place.key = point + 1;
		place.parent = &above;
	}
	if (prefix[0] != '\0')
		snprintf(group, sizeof(group), "%.*s", (int)strlen(prefix) - 1, prefix);
	return settings_error_key(reader, &inner, &place);
}

static int set_key(struct settings_reader *reader, const struct settings_target *target,
    char *key, const char *text, const struct settings_place *parent);

/* "listeners[0].reply": `bracket` is the "[". */
static int
set_in_item(struct settings_reader *reader, const struct settings_target *target,
    char *key, char *bracket, const char *text, const struct settings_place *parent)
{
	struct settings_place list = { parent, key, 0 };
	char *end, *items;
	size_t count;
	*bracket = '\0';
	const struct setting *row = settings_find(target->settings, key);
	size_t index = strtoul(bracket + 1, &end, 10);
	if (row == NULL)
		return reject_dotted(reader, target, key, parent);
	if (row->type != SETTING_OBJECTS)
		return settings_error_at(
		    reader, SETTINGS_NOWHERE, "%s: not a list of objects", key);
	if (!isdigit((unsigned char)bracket[1]) || strncmp(end, "].", 2) != 0)
		return settings_error_at(reader, SETTINGS_NOWHERE,
		    "found the key \"%s[%s\", expected one such as \"%s[0].%s\"", key,
		    bracket + 1, key, row->items->rows[0].name);
	memcpy(&items, (char *)target->base + row->offset, sizeof(items));
	memcpy(&count, (char *)target->base + row->count_offset, sizeof(count));
	if (index >= count)
		return settings_error_at(reader, SETTINGS_NOWHERE,
		    "%s[%zu]: not found, expected an index below %zu", key, index,
		    count);
	struct settings_target item = { row->items, items + index * row->items->size,
		"" };
	struct settings_place place = { &list, NULL, index };
	return set_key(reader, &item, end + 2, text, &place);
}

static int
set_key(struct settings_reader *reader, const struct settings_target *target, char *key,
    const char *text, const struct settings_place *parent)
{
	struct settings_place place = { parent, key, 0 };
	const struct setting *row = settings_find(target->settings, key);
	char *bracket = strchr(key, '[');
	if (row != NULL)
		return settings_read_row(reader, row, target->base, text, &place);
	if (bracket != NULL)
		return set_in_item(reader, target, key, bracket, text, parent);
	if (settings_is_group(target->settings, key))
		return settings_error_at(reader, SETTINGS_NOWHERE,
		    "%s: is an object, expected one of its keys: %s.KEY=VALUE", key,
		    key);
	return reject_dotted(reader, target, key, parent);
}

int
settings_override(const struct settings *settings, void *base, const char *source,
    const char *override, char *error, size_t error_size)
{
	struct settings_reader reader = { .settings = settings,
		.source = source,
		.error = error,
		.error_size = error_size,
		.base = base };
	struct settings_target target = { settings, base, "" };
	const char *equals = strchr(override, '=');
	char key[KEY_LENGTH];
	if (equals == NULL)
		return settings_error_at(&reader, SETTINGS_NOWHERE,
		    "found \"%.80s\", expected KEY=VALUE", override);
	if ((size_t)(equals - override) >= sizeof(key))
		return settings_error_at(
		    &reader, SETTINGS_NOWHERE, "unknown key \"%.40s...\"", override);
	memcpy(key, override, (size_t)(equals - override));
	key[equals - override] = '\0';
	return set_key(&reader, &target, key, equals + 1, NULL);
}
