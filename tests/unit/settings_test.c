#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs those above */
#include <cmocka.h>

#include "lib/settings.h"

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

static int
check_owner(const char *text, char *error, size_t error_size)
{
	if (text[0] >= 'A' && text[0] <= 'Z')
		return 0;
	snprintf(error, error_size, "\"%s\" is no name; a capital was wanted", text);
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

static struct house
defaults(void)
{
	struct house house = { 0 };
	char error[256] = "";

	if (settings_read_defaults(&house_table, &house, error, sizeof error) != 0)
		fail_msg("%s", error);
	return house;
}

static struct house
read_house(const char *text)
{
	struct house house = defaults();
	char error[256] = "";

	if (settings_read_text(&house_table, &house, "f", text, strlen(text), error,
		sizeof error) != 0)
		fail_msg("%s", error);
	return house;
}

static void
check_refused(const char *text, const char *expected)
{
	struct house house = defaults();
	char error[256] = "";

	assert_int_equal(settings_read_text(&house_table, &house, "f", text,
			     strlen(text), error, sizeof error),
	    -1);
	assert_string_equal(error, expected);
	settings_finish(&house_table, &house);
}

static void
test_what_a_file_leaves_out_has_its_default(void **state)
{
	struct house house = read_house("{}");

	(void)state;
	assert_true(house.heated);
	assert_int_equal(house.rooms, 0);
	assert_int_equal(house.area, 65536);
	assert_int_equal(house.bricks, 10000);
	assert_int_equal(house.cooling_ns, 30000000000);
	assert_int_equal(house.colour, GREEN);
	assert_null(house.owner);
	assert_int_equal(house.guest_count, 0);
	assert_int_equal(house.door_count, 1);
	assert_string_equal(house.doors[0].name, "front");
	assert_int_equal(house.doors[0].width, 80);
	settings_finish(&house_table, &house);
}

static void
test_every_type_is_read_from_a_file_with_comments(void **state)
{
	struct house house = read_house(
	    "{ // every type\n"
	    "\"$note\": \"x\", \"heated\": false, \"rooms\": 9, # the rest\n"
	    "\"walls\": { \"area\": 1000, \"bricks\": \"1.5k\", /* paint */\n"
	    "  \"paint\": { \"colour\": \"blue\" } },\n"
	    "\"cooling\": \"250ms\", \"owner\": \"Ann // no comment\",\n"
	    "\"guests\": [\"Bob\", \"Cy\"],\n"
	    "\"doors\": [{ \"name\": \"a\" }, { \"width\": 200, \"name\": \"b\" }] }");

	(void)state;
	assert_false(house.heated);
	assert_int_equal(house.rooms, 9);
	assert_int_equal(house.area, 1000);
	assert_int_equal(house.bricks, 1500);
	assert_int_equal(house.cooling_ns, 250000000);
	assert_int_equal(house.colour, BLUE);
	assert_string_equal(house.owner, "Ann // no comment");
	assert_int_equal(house.guest_count, 2);
	assert_string_equal(house.guests[1], "Cy");
	assert_int_equal(house.door_count, 2);
	assert_int_equal(house.doors[0].width, 80);
	assert_int_equal(house.doors[1].width, 200);
	settings_finish(&house_table, &house);
	assert_null(house.doors);
	assert_int_equal(house.guest_count, 0);
}

static void
test_auto_0_and_the_bounds_themselves_are_accepted(void **state)
{
	struct house house =
	    read_house("{\"rooms\": \"auto\", \"cooling\": 0, \"walls\":"
		       "{\"area\": \"1M\", \"bricks\": 0}}");

	(void)state;
	assert_int_equal(house.rooms, 0);
	assert_int_equal(house.cooling_ns, 0);
	assert_int_equal(house.area, 1 << 20);
	assert_int_equal(house.bricks, 0);
	settings_finish(&house_table, &house);
}

static void
test_a_value_of_the_wrong_kind_is_refused_with_what_was_wanted(void **state)
{
	(void)state;
	check_refused(
	    "{\"heated\": 1}", "f:1:12: \"heated\" is 1; true or false was wanted");
	check_refused("{\n\t\"rooms\": 2.5}",
	    "f:2:11: \"rooms\" is 2.5; a whole number from 1 to 9 or \"auto\" was "
	    "wanted");
	check_refused("{\"rooms\": \"2\"}",
	    "f:1:11: \"rooms\" is \"2\"; a whole number from 1 to 9 or \"auto\" was "
	    "wanted");
	check_refused("{\"walls\": {\"area\": \"big\"}}",
	    "f:1:20: \"walls.area\" is \"big\"; a size from 1 to 1M (as \"64k\") was "
	    "wanted");
	check_refused("{\"walls\": {\"bricks\": true}}",
	    "f:1:22: \"walls.bricks\" is true; a count from 100 to 1M (as \"10k\"; 0 "
	    "is off) "
	    "was wanted");
	check_refused("{\"cooling\": 30}",
	    "f:1:13: \"cooling\" is 30; a duration from 1ms to 1m (as \"30s\"; 0 is "
	    "off) was "
	    "wanted");
	check_refused("{\"walls\": {\"paint\": {\"colour\": \"pink\"}}}",
	    "f:1:32: \"walls.paint.colour\" is \"pink\"; \"red\", \"green\" or "
	    "\"blue\" was "
	    "wanted");
	check_refused("{\"owner\": []}",
	    "f:1:11: \"owner\" is an empty list; a string was "
	    "wanted");
	check_refused("{\"guests\": \"Bob\"}",
	    "f:1:12: \"guests\" is \"Bob\"; a list of 0 to 3 strings was wanted");
	check_refused("{\"walls\": {\"paint\": \"red\"}}",
	    "f:1:21: \"walls.paint\" is \"red\"; an object was wanted");
	check_refused("{\"$note\": 1}", "f:1:11: \"$note\" is 1; a string was wanted");
	check_refused("{\"doors\": [{\"name\": \"a\"}, 7]}",
	    "f:1:27: \"doors[1]\" is 7; an object was wanted");
}

static void
test_a_value_out_of_bounds_is_refused(void **state)
{
	(void)state;
	check_refused("{\"rooms\": 0}",
	    "f:1:11: \"rooms\" is 0; a whole number from 1 to 9 or \"auto\" was "
	    "wanted");
	check_refused("{\"rooms\": -1}",
	    "f:1:11: \"rooms\" is -1; a whole number from 1 to 9 or \"auto\" was "
	    "wanted");
	check_refused("{\"walls\": {\"area\": \"1025k\"}}",
	    "f:1:20: \"walls.area\" is \"1025k\"; a size from 1 to 1M (as \"64k\") was "
	    "wanted");
	check_refused("{\"cooling\": \"999us\"}",
	    "f:1:13: \"cooling\" is \"999us\"; a duration from 1ms to 1m (as \"30s\"; "
	    "0 is "
	    "off) was wanted");
	check_refused("{\"doors\": []}",
	    "f:1:11: \"doors\" is an empty list; a list of 1 to 4 objects was wanted");
	check_refused("{\"guests\": [\"A\", \"B\", \"C\", \"D\"]}",
	    "f:1:12: \"guests\" is a list of 4; a list of 0 to 3 strings was wanted");
}

static void
test_an_unknown_key_is_refused_with_the_nearest_known_one(void **state)
{
	(void)state;
	check_refused("{\"romms\": 1}",
	    "f:1:2: unknown key \"romms\"; did you mean "
	    "\"rooms\"?");
	check_refused("{\"walls\":\n  {\"brick\": 1}}",
	    "f:2:4: unknown key \"walls.brick\"; did you mean \"walls.bricks\"?");
	check_refused("{\"wals\": {}}",
	    "f:1:2: unknown key \"wals\"; did you mean "
	    "\"walls\"?");
	check_refused("{\"doors\": [{\"nam\": \"x\"}]}",
	    "f:1:13: unknown key \"doors[0].nam\"; did you mean \"doors[0].name\"?");
	check_refused("{\"colour\": \"red\"}",
	    "f:1:2: unknown key \"colour\"; did you mean \"walls.paint.colour\"?");
	check_refused("{\"width\": 1}",
	    "f:1:2: unknown key \"width\"; did you mean \"doors[].width\"?");
	check_refused("{\"telephone\": 1}", "f:1:2: unknown key \"telephone\"");
	check_refused("{\"\": 1}", "f:1:2: unknown key \"\"");
	check_refused("{\"walls.area\": 1}",
	    "f:1:2: unknown key \"walls.area\"; an object for each part of it was "
	    "wanted");
}

static void
test_a_key_that_stands_twice_is_refused(void **state)
{
	(void)state;
	check_refused("{\"rooms\": 1, \"rooms\": 1}",
	    "f:1:14: the key \"rooms\" stands here twice");
}

static void
test_a_string_that_its_check_refuses_is_refused_where_it_stands(void **state)
{
	(void)state;
	check_refused("{\"owner\": \"bob\"}",
	    "f:1:11: \"owner\": \"bob\" is no name; a capital was wanted");
	check_refused("{\"guests\": [\"Ann\",\n\"bob\"]}",
	    "f:2:1: \"guests[1]\": \"bob\" is no name; a capital was wanted");
	check_refused("{\"guests\": [\"\"]}",
	    "f:1:13: \"guests[0]\" is \"\"; a string that is not empty was wanted");
}

static void
test_a_required_key_that_is_missing_or_empty_is_refused(void **state)
{
	(void)state;
	check_refused("{\"doors\": [{\"name\": \"a\"},\n {\"width\": 100}]}",
	    "f:2:2: \"doors[1].name\" is missing");
	check_refused("{\"doors\": [{\"name\": \"\"}]}",
	    "f:1:21: \"doors[0].name\" is \"\"; a string that is not empty was wanted");
}

static void
test_what_is_no_JSON_is_refused_with_line_and_column(void **state)
{
	(void)state;
	check_refused("", "f: nothing in it; an object, { ... }, was wanted");
	check_refused(
	    "# comment\n", "f: nothing in it; an object, { ... }, was wanted");
	check_refused(
	    "[1]", "f:1:1: the file is a list; an object, { ... }, was wanted");
	check_refused(
	    "{\"rooms\": 1,\n}", "f:2:1: a comma before \"}\"; none was wanted");
	check_refused(
	    "{\"guests\": [\"A\",]}", "f:1:17: a comma before \"]\"; none was wanted");
	check_refused("{\"rooms\": 1\n \"heated\": true}",
	    "f:2:2: no JSON: '\"heated\"' was found; a comma or \"}\" was wanted");
	check_refused("{\"rooms\": 1",
	    "f:1:12: the file ends inside a value; its closing bracket was wanted");
	check_refused("{\"rooms\": yes}", "f:1:11: no JSON: invalid token near 'yes'");
	check_refused(
	    "{rooms: 1}", "f:1:2: no JSON: string or '}' expected near 'rooms'");
	check_refused("{} x", "f:1:4: no JSON: end of file expected near 'x'");
	check_refused("{\"owner\": \"A\\u0000\"}",
	    "f:1:11: a string that holds \\u0000; text was wanted");
	check_refused(
	    "{} /* x", "f:1:4: a comment that is not closed; \"*/\" was wanted");
}

static void
test_an_error_is_one_line_whatever_the_file_holds(void **state)
{
	struct house house = defaults();
	char text[4096], error[64];

	(void)state;
	memset(text, 'x', sizeof text);
	memcpy(text, "{\"a\\nb", 6);
	memcpy(text + sizeof text - 5, "\":1}", 5);
	assert_int_equal(settings_read_text(&house_table, &house, "f", text,
			     strlen(text), error, sizeof error),
	    -1);
	assert_true(strlen(error) < sizeof error);
	assert_null(strchr(error, '\n'));
	settings_finish(&house_table, &house);
}

static void
override_to(struct house *house, const char *override, const char *expected)
{
	char error[256] = "";

	int rc = settings_override(
	    &house_table, house, "--set", override, error, sizeof error);
	assert_string_equal(error, expected);
	assert_int_equal(rc, *expected == '\0' ? 0 : -1);
}

static void
test_an_override_sets_one_value_and_wins_over_the_file(void **state)
{
	struct house house = read_house("{\"rooms\": 2, \"owner\": \"Ann\"}");

	(void)state;
	override_to(&house, "rooms=3", "");
	override_to(&house, "heated=false", "");
	override_to(&house, "walls.area=2k", "");
	override_to(&house, "walls.paint.colour=red", "");
	override_to(&house, "owner=Bob=Cy", "");
	override_to(&house, "guests=[\"Dee\"]", "");
	override_to(&house, "doors[0].width=100", "");
	assert_int_equal(house.rooms, 3);
	assert_false(house.heated);
	assert_int_equal(house.area, 2048);
	assert_int_equal(house.colour, RED);
	assert_string_equal(house.owner, "Bob=Cy");
	assert_string_equal(house.guests[0], "Dee");
	assert_int_equal(house.doors[0].width, 100);
	override_to(&house, "owner=", "");
	override_to(&house, "rooms=auto", "");
	assert_null(house.owner);
	assert_int_equal(house.rooms, 0);
	settings_finish(&house_table, &house);
}

static void
test_an_override_that_is_wrong_is_refused(void **state)
{
	struct house house = defaults();

	(void)state;
	override_to(&house, "rooms", "--set: \"rooms\"; KEY=VALUE was wanted");
	override_to(&house, "rooms=many",
	    "--set: \"rooms\" is \"many\"; a whole number from 1 to 9 or \"auto\" was "
	    "wanted");
	override_to(
	    &house, "romms=1", "--set: unknown key \"romms\"; did you mean \"rooms\"?");
	override_to(&house, "walls.brick=1",
	    "--set: unknown key \"walls.brick\"; did you mean \"walls.bricks\"?");
	override_to(&house, "walls.pain.colour=red",
	    "--set: unknown key \"walls.pain\"; did you mean \"walls.paint\"?");
	override_to(&house, "walls.paint=red",
	    "--set: \"walls.paint\" is an object; one of its keys was wanted, as "
	    "\"walls.paint.KEY=VALUE\"");
	override_to(&house, "doors[1].name=x",
	    "--set: \"doors[1]\" is not there; the list has 1, counted from 0");
	override_to(&house, "doors[0]=x",
	    "--set: \"doors[0]\" is no key; one as \"doors[0].name\" was wanted");
	override_to(&house, "doors[0].wide=1",
	    "--set: unknown key \"doors[0].wide\"; did you mean \"doors[0].width\"?");
	override_to(&house, "rooms[0].x=1", "--set: \"rooms\" is no list of objects");
	override_to(&house, "dors[0].name=x",
	    "--set: unknown key \"dors\"; did you mean \"doors\"?");
	override_to(&house, "heated=yes",
	    "--set: \"heated\" is \"yes\"; true or false was wanted");
	override_to(
	    &house, "owner=A\xff", "--set: \"owner\" is no UTF-8; text was wanted");
	settings_finish(&house_table, &house);
}

static void
test_what_is_written_reads_back_to_the_same(void **state)
{
	struct house house = read_house("{\"owner\": \"A \\\"quoted\\\" \\u00e9\", "
					"\"guests\": [\"B\"], \"rooms\": 4,"
					"\"walls\": {\"area\": 1537, \"paint\": "
					"{\"colour\": \"red\"}}, \"cooling\": 0}");
	char *text = settings_write_values(&house_table, &house);
	assert_non_null(text);
	struct house again = read_house(text);
	char *text_again = settings_write_values(&house_table, &again);

	(void)state;
	assert_string_equal(text, text_again);
	assert_string_equal(again.owner, "A \"quoted\" \xc3\xa9");
	assert_non_null(strstr(text, "\"area\": \"1537\""));
	assert_non_null(strstr(text, "\"cooling\": \"0s\""));
	assert_null(strstr(text, "$note"));
	free(text);
	free(text_again);
	settings_finish(&house_table, &house);
	settings_finish(&house_table, &again);
}

static void
test_the_schema_holds_every_key_with_its_bounds(void **state)
{
	static const char *const parts[] = {
		"\"$schema\": \"http://json-schema.org/draft-07/schema#\"",
		"\"title\": \"House\"", "\"maximum\": 9", "\"enum\": [",
		"\"maxItems\": 4", "\"additionalProperties\": false",
		"\"pattern\": \"^$|^[A-Z]\"", "\"required\": [", "\"default\": \"64k\"",
		"\"description\": \"A colour.\""
	};
	char *schema = settings_write_schema(&house_table);

	(void)state;
	assert_non_null(schema);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (strstr(schema, parts[i]) == NULL)
			fail_msg("no %s in %s", parts[i], schema);
	free(schema);
}

static void
add_name(const char *name, const struct setting *row, void *arg)
{
	char wanted[SETTINGS_WANTED_MAX];
	char *out = arg;

	sprintf(out + strlen(out), "%s: %s\n", name, settings_wanted(row, wanted));
}

static void
test_a_walk_names_every_row_and_what_it_accepts(void **state)
{
	char out[2048] = "";

	(void)state;
	settings_walk(&house_table, add_name, out);
	assert_string_equal(out,
	    "$note: a string\n"
	    "heated: true or false\n"
	    "rooms: a whole number from 1 to 9 or \"auto\"\n"
	    "walls.area: a size from 1 to 1M (as \"64k\")\n"
	    "walls.bricks: a count from 100 to 1M (as \"10k\"; 0 is off)\n"
	    "walls.paint.colour: \"red\", \"green\" or \"blue\"\n"
	    "cooling: a duration from 1ms to 1m (as \"30s\"; 0 is off)\n"
	    "owner: a string\n"
	    "guests: a list of 0 to 3 strings\n"
	    "doors: a list of 1 to 4 objects\n"
	    "doors[].name: a string\n"
	    "doors[].width: a whole number from 50 to 200\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_a_file_leaves_out_has_its_default),
		cmocka_unit_test(test_every_type_is_read_from_a_file_with_comments),
		cmocka_unit_test(test_auto_0_and_the_bounds_themselves_are_accepted),
		cmocka_unit_test(
		    test_a_value_of_the_wrong_kind_is_refused_with_what_was_wanted),
		cmocka_unit_test(test_a_value_out_of_bounds_is_refused),
		cmocka_unit_test(
		    test_an_unknown_key_is_refused_with_the_nearest_known_one),
		cmocka_unit_test(test_a_key_that_stands_twice_is_refused),
		cmocka_unit_test(
		    test_a_string_that_its_check_refuses_is_refused_where_it_stands),
		cmocka_unit_test(
		    test_a_required_key_that_is_missing_or_empty_is_refused),
		cmocka_unit_test(test_what_is_no_JSON_is_refused_with_line_and_column),
		cmocka_unit_test(test_an_error_is_one_line_whatever_the_file_holds),
		cmocka_unit_test(
		    test_an_override_sets_one_value_and_wins_over_the_file),
		cmocka_unit_test(test_an_override_that_is_wrong_is_refused),
		cmocka_unit_test(test_what_is_written_reads_back_to_the_same),
		cmocka_unit_test(test_the_schema_holds_every_key_with_its_bounds),
		cmocka_unit_test(test_a_walk_names_every_row_and_what_it_accepts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
