/*
 * settings_sample.h - a table with a setting of each type, and what is read with it.
 * For cmocka programs.
 */
#ifndef TESTS_SETTINGS_SAMPLE_H
#define TESTS_SETTINGS_SAMPLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs those above */
#include <cmocka.h>

#include "lib/settings/settings.h"

/* A table with a row of each type. */

enum colour { RED, GREEN, BLUE };
static const char *const colours[] = { "red", "green", "blue", NULL };

struct door {
	char *name;
	uint32_t width;
};

struct house {
	bool heated;
	uint32_t rooms;
	uint64_t area;
	uint64_t bricks;
	uint64_t cooling_ns;
	enum colour colour;
	char *owner;
	char **guests;
	size_t guest_count;
	struct door *doors;
	size_t door_count;
};

static inline int
check_owner(const char *text, char *error, size_t error_size)
{
	if (text[0] >= 'A' && text[0] <= 'Z')
		return 0;
	snprintf(error, error_size, "found \"%s\", expected a capital letter", text);
	return -1;
}

#define DOOR(member) SETTING_FIELD(struct door, member)
static const struct setting door_rows[] = {
	{ .name = "name",
	    .help = "What is on it.",
	    .type = SETTING_STRING,
	    .flags = SETTING_REQUIRED,
	    DOOR(name) },
	{ .name = "width",
	    .help = "In centimetres.",
	    .type = SETTING_INTEGER,
	    DOOR(width),
	    .initial = "80",
	    .min = 50,
	    .max = 200 },
	{ .name = NULL },
};
static const struct settings door_table = { "Door", door_rows, sizeof(struct door), 0 };

#define HOUSE(member) SETTING_FIELD(struct house, member)
static const struct setting house_rows[] = {
	{ .name = "$note", .help = "A note.", .type = SETTING_ANNOTATION },
	{ .name = "heated",
	    .help = "Is it?",
	    .type = SETTING_BOOL,
	    HOUSE(heated),
	    .initial = "true" },
	{ .name = "rooms",
	    .help = "How many.",
	    .type = SETTING_INTEGER,
	    .flags = SETTING_AUTO,
	    HOUSE(rooms),
	    .initial = "auto",
	    .min = 1,
	    .max = 9 },
	{ .name = "walls.area",
	    .help = "A size.",
	    .type = SETTING_SIZE,
	    HOUSE(area),
	    .initial = "64k",
	    .min = 1,
	    .max = 1 << 20 },
	{ .name = "walls.bricks",
	    .help = "A count.",
	    .type = SETTING_COUNT,
	    .flags = SETTING_OFF,
	    HOUSE(bricks),
	    .initial = "10k",
	    .min = 100,
	    .max = 1000000 },
	{ .name = "walls.paint.colour",
	    .help = "A colour.",
	    .type = SETTING_ENUM,
	    HOUSE(colour),
	    .initial = "green",
	    .names = colours },
	{ .name = "cooling",
	    .help = "A duration.",
	    .type = SETTING_DURATION,
	    .flags = SETTING_OFF,
	    HOUSE(cooling_ns),
	    .initial = "30s",
	    .min = 1000000,
	    .max = 60000000000 },
	{ .name = "owner",
	    .help = "A name.",
	    .type = SETTING_STRING,
	    HOUSE(owner),
	    .check = check_owner,
	    .pattern = "^[A-Z]" },
	{ .name = "guests",
	    .help = "Names.",
	    .type = SETTING_STRINGS,
	    HOUSE(guests),
	    .count_offset = offsetof(struct house, guest_count),
	    .max = 3,
	    .check = check_owner,
	    .pattern = "^[A-Z]" },
	{ .name = "doors",
	    .help = "Doors.",
	    .type = SETTING_OBJECTS,
	    HOUSE(doors),
	    .count_offset = offsetof(struct house, door_count),
	    .initial = "[{\"name\": \"front\"}]",
	    .min = 1,
	    .max = 4,
	    .items = &door_table },
	{ .name = NULL },
};
static const struct settings house_table = { "House", house_rows, sizeof(struct house),
	0 };

static inline struct house
defaults(void)
{
	struct house house = { 0 };
	char error[256] = "";

	if (settings_read_defaults(&house_table, &house, error, sizeof(error)) < 0)
		fail_msg("%s", error);
	return house;
}

static inline struct house
read_house(const char *text)
{
	struct house house = defaults();
	char error[256] = "";

	if (settings_read_text(&house_table, &house, "f", text, strlen(text), error,
		sizeof(error)) != 0)
		fail_msg("%s", error);
	return house;
}

static inline void
check_refused(const char *text, const char *expected)
{
	struct house house = defaults();
	char error[256] = "";

	assert_int_equal(settings_read_text(&house_table, &house, "f", text,
			     strlen(text), error, sizeof(error)),
	    -1);
	assert_string_equal(error, expected);
	settings_finish(&house_table, &house);
}

static inline void
override_to(struct house *house, const char *override, const char *expected)
{
	char error[256] = "";

	int rc = settings_override(
	    &house_table, house, "--set", override, error, sizeof(error));
	assert_string_equal(error, expected);
	assert_int_equal(rc, *expected == '\0' ? 0 : -1);
}

#endif
