/*
 * settings_origin_test.c - where each value came from, through file, options and
 * changes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "lib/settings/settings.h"

struct door {
	char *name;
	uint32_t width;
};

struct house {
	uint32_t rooms, floors;
	char **guests;
	size_t guest_count;
	struct door *doors;
	size_t door_count;
	struct settings_origins origins;
};

static const struct setting door_rows[] = {
	{ .name = "name", .type = SETTING_STRING, SETTING_FIELD(struct door, name) },
	{ .name = "width",
	    .type = SETTING_INTEGER,
	    SETTING_FIELD(struct door, width),
	    .initial = "1",
	    .max = 9 },
	{ .name = NULL },
};

static const struct settings door_table = {
	.title = "door", .rows = door_rows, .size = sizeof(struct door)
};

static const struct setting house_rows[] = {
	{ .name = "rooms",
	    .type = SETTING_INTEGER,
	    SETTING_FIELD(struct house, rooms),
	    .initial = "3",
	    .max = 9 },
	{ .name = "high.floors",
	    .type = SETTING_INTEGER,
	    SETTING_FIELD(struct house, floors),
	    .initial = "1",
	    .max = 9 },
	{ .name = "guests",
	    .type = SETTING_STRINGS,
	    SETTING_FIELD(struct house, guests),
	    .count_offset = offsetof(struct house, guest_count) },
	{ .name = "doors",
	    .type = SETTING_OBJECTS,
	    SETTING_FIELD(struct house, doors),
	    .count_offset = offsetof(struct house, door_count),
	    .items = &door_table },
	{ .name = NULL },
};

static const struct settings house_table = { .title = "house",
	.rows = house_rows,
	.size = sizeof(struct house),
	.origins_offset = offsetof(struct house, origins) };

static void
read_text(struct house *house, const char *source, const char *text)
{
	char error[256] = "";
	int rc = settings_read_text(
	    &house_table, house, source, text, strlen(text), error, sizeof(error));
	assert_string_equal(error, "");
	assert_int_equal(rc, 0);
}

static void
override(struct house *house, const char *text)
{
	char error[256] = "";
	int rc =
	    settings_override(&house_table, house, "--set", text, error, sizeof(error));
	assert_string_equal(error, "");
	assert_int_equal(rc, 0);
}

static void
assert_origin(const struct house *house, const char *name, const char *source)
{
	const char *found = settings_origin_of(&house_table, house, name);
	if (source == NULL)
		assert_null(found);
	else
		assert_string_equal(found, source);
}

static void
test_the_last_source_is_the_origin(void **state)
{
	struct house house = { 0 };
	char error[256];
	(void)state;
	assert_int_equal(
	    settings_read_defaults(&house_table, &house, error, sizeof(error)), 0);
	assert_origin(&house, "rooms", NULL);
	read_text(&house, "a.json",
	    "{\"rooms\": 4, \"high\": {\"floors\": 2}, \"guests\": [\"A\", \"B\"]}");
	assert_origin(&house, "rooms", "a.json");
	assert_origin(&house, "high.floors", "a.json");
	assert_origin(&house, "guests", "a.json");
	override(&house, "high.floors=3");
	assert_origin(&house, "high.floors", "--set");
	assert_origin(&house, "rooms", "a.json");
	assert_int_equal(
	    settings_origin_set(&house_table, &house, "rooms", "a neighbour"), 0);
	assert_origin(&house, "rooms", "a neighbour");
	settings_finish(&house_table, &house);
	assert_int_equal(house.origins.count, 0);
}

static void
test_replacing_a_list_replaces_its_origins(void **state)
{
	struct house house = { 0 };
	(void)state;
	read_text(&house, "a.json",
	    "{\"rooms\": 4, \"doors\": [{\"name\": \"front\", \"width\": 2}, {\"name\": \"back\"}]}");
	assert_origin(&house, "doors[0].width", "a.json");
	assert_origin(&house, "doors[1].name", "a.json");
	assert_origin(&house, "doors[1].width", NULL);
	override(&house, "doors[1].width=3");
	assert_origin(&house, "doors[1].width", "--set");
	override(&house, "doors=[{\"name\": \"side\"}]");
	assert_origin(&house, "doors[0].name", "--set");
	assert_origin(&house, "doors[0].width", NULL);
	assert_origin(&house, "doors[1].name", NULL);
	assert_origin(&house, "rooms", "a.json");
	settings_finish(&house_table, &house);
}

static void
test_every_value_is_written_with_its_origin(void **state)
{
	static const char *const wanted[] = { "\"rooms\": \"default\"",
		"\"high.floors\": \"--set\"", "\"guests\": \"default\"",
		"\"doors[0].name\": \"a \\\"b\\\"\"",
		"\"doors[0].width\": \"default\"" };
	struct house house = { 0 };
	(void)state;
	read_text(&house, "a \"b\"", "{\"doors\": [{\"name\": \"front\"}]}");
	override(&house, "high.floors=2");
	char *text = settings_write_origins(&house_table, &house);
	assert_non_null(text);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		assert_non_null(strstr(text, wanted[i]));
	free(text);
	settings_finish(&house_table, &house);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_last_source_is_the_origin),
		cmocka_unit_test(test_replacing_a_list_replaces_its_origins),
		cmocka_unit_test(test_every_value_is_written_with_its_origin),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
