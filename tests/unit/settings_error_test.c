#include "tests/lib/settings_sample.h"

static void
test_a_value_of_the_wrong_kind_is_refused_with_what_was_wanted(void **state)
{
	(void)state;
	check_refused(
	    "{\"heated\": 1}", "f:1:12: \"heated\" is 1; true or false was wanted");
	check_refused("{\n\t\"rooms\": 2.5}",
	    "f:2:11: \"rooms\" is 2.5; a whole number from 1 to 9 or \"auto\" was wanted");
	check_refused("{\"rooms\": \"2\"}",
	    "f:1:11: \"rooms\" is \"2\"; a whole number from 1 to 9 or \"auto\" was wanted");
	check_refused("{\"walls\": {\"area\": \"big\"}}",
	    "f:1:20: \"walls.area\" is \"big\"; a size from 1 to 1M (as \"64k\") was wanted");
	check_refused("{\"walls\": {\"bricks\": true}}",
	    "f:1:22: \"walls.bricks\" is true; a count from 100 to 1M (as \"10k\"; 0 is off) was wanted");
	check_refused("{\"cooling\": 30}",
	    "f:1:13: \"cooling\" is 30; a duration from 1ms to 1m (as \"30s\"; 0 is off) was wanted");
	check_refused("{\"walls\": {\"paint\": {\"colour\": \"pink\"}}}",
	    "f:1:32: \"walls.paint.colour\" is \"pink\"; \"red\", \"green\" or \"blue\" was wanted");
	check_refused("{\"owner\": []}",
	    "f:1:11: \"owner\" is an empty list; a string was wanted");
	check_refused("{\"guests\": \"Bob\"}",
	    "f:1:12: \"guests\" is \"Bob\"; a list of 0 to 3 strings (as [\"a\", \"b\"]) was wanted");
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
	    "f:1:11: \"rooms\" is 0; a whole number from 1 to 9 or \"auto\" was wanted");
	check_refused("{\"rooms\": -1}",
	    "f:1:11: \"rooms\" is -1; a whole number from 1 to 9 or \"auto\" was wanted");
	check_refused("{\"walls\": {\"area\": \"1025k\"}}",
	    "f:1:20: \"walls.area\" is \"1025k\"; a size from 1 to 1M (as \"64k\") was wanted");
	check_refused("{\"cooling\": \"999us\"}",
	    "f:1:13: \"cooling\" is \"999us\"; a duration from 1ms to 1m (as \"30s\"; 0 is off) was wanted");
	check_refused("{\"doors\": []}",
	    "f:1:11: \"doors\" is an empty list; a list of 1 to 4 objects was wanted");
	check_refused("{\"guests\": [\"A\", \"B\", \"C\", \"D\"]}",
	    "f:1:12: \"guests\" is a list of 4; a list of 0 to 3 strings (as [\"a\", \"b\"]) was wanted");
}

static void
test_an_unknown_key_is_refused_with_the_nearest_known_one(void **state)
{
	(void)state;
	check_refused(
	    "{\"romms\": 1}", "f:1:2: unknown key \"romms\"; did you mean \"rooms\"?");
	check_refused("{\"walls\":\n  {\"brick\": 1}}",
	    "f:2:4: unknown key \"walls.brick\"; did you mean \"walls.bricks\"?");
	check_refused(
	    "{\"wals\": {}}", "f:1:2: unknown key \"wals\"; did you mean \"walls\"?");
	check_refused("{\"doors\": [{\"nam\": \"x\"}]}",
	    "f:1:13: unknown key \"doors[0].nam\"; did you mean \"doors[0].name\"?");
	check_refused("{\"colour\": \"red\"}",
	    "f:1:2: unknown key \"colour\"; did you mean \"walls.paint.colour\"?");
	check_refused("{\"width\": 1}",
	    "f:1:2: unknown key \"width\"; did you mean \"doors[].width\"?");
	check_refused("{\"telephone\": 1}", "f:1:2: unknown key \"telephone\"");
	check_refused("{\"\": 1}", "f:1:2: unknown key \"\"");
	check_refused("{\"walls.area\": 1}",
	    "f:1:2: unknown key \"walls.area\"; an object for each part of it was wanted");
	/* It is one where it does not stand. */
	check_refused("{\"walls\": {\"rooms\": 1}}",
	    "f:1:12: unknown key \"walls.rooms\"; did you mean \"rooms\"?");
	check_refused("{\"walls\": {\"walls.area\": 1}}",
	    "f:1:12: unknown key \"walls.walls.area\"; did you mean \"walls.area\"?");
}

static void
test_a_key_that_stands_twice_is_refused(void **state)
{
	(void)state;
	check_refused("{\"rooms\": 1, \"rooms\": 1}",
	    "f:1:14: the key \"rooms\" stands here twice");
}

static void
test_refuses_an_invalid_string_at_its_position(void **state)
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
	check_refused("{rooms: 1}",
	    "f:1:2: no JSON: 'rooms' was found; a key in double quotes or \"}\" was wanted");
	check_refused("\"x\"",
	    "f:1:1: no JSON: '\"x\"' was found; an object, { ... }, was wanted");
	check_refused(
	    "{\"rooms\" 1}", "f:1:10: no JSON: '1' was found; a colon was wanted");
	check_refused(
	    "{} x", "f:1:4: no JSON: 'x' was found; the end of the file was wanted");
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
	memset(text, 'x', sizeof(text));
	memcpy(text, "{\"a\\nb", 6);
	memcpy(text + sizeof(text) - 5, "\":1}", 5);
	assert_int_equal(settings_read_text(&house_table, &house, "f", text,
			     strlen(text), error, sizeof(error)),
	    -1);
	assert_true(strlen(error) < sizeof(error));
	assert_null(strchr(error, '\n'));
	settings_finish(&house_table, &house);
}

static void
test_an_override_that_is_wrong_is_refused(void **state)
{
	struct house house = defaults();

	(void)state;
	override_to(&house, "rooms", "--set: \"rooms\"; KEY=VALUE was wanted");
	override_to(&house, "rooms=many",
	    "--set: \"rooms\" is \"many\"; a whole number from 1 to 9 or \"auto\" was wanted");
	override_to(
	    &house, "romms=1", "--set: unknown key \"romms\"; did you mean \"rooms\"?");
	override_to(&house, "walls.brick=1",
	    "--set: unknown key \"walls.brick\"; did you mean \"walls.bricks\"?");
	override_to(&house, "walls.pain.colour=red",
	    "--set: unknown key \"walls.pain\"; did you mean \"walls.paint\"?");
	override_to(&house, "walls.rooms=1",
	    "--set: unknown key \"walls.rooms\"; did you mean \"rooms\"?");
	override_to(&house, "walls.paint=red",
	    "--set: \"walls.paint\" is an object; one of its keys was wanted, as \"walls.paint.KEY=VALUE\"");
	override_to(&house, "doors[1].name=x",
	    "--set: \"doors[1]\" is not there; the list has 1, counted from 0");
	override_to(&house, "doors[0]=x",
	    "--set: \"doors[0]\" is no key; one as \"doors[0].name\" was wanted");
	override_to(&house, "doors[-1].name=x",
	    "--set: \"doors[-1].name\" is no key; one as \"doors[0].name\" was wanted");
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_a_value_of_the_wrong_kind_is_refused_with_what_was_wanted),
		cmocka_unit_test(test_a_value_out_of_bounds_is_refused),
		cmocka_unit_test(
		    test_an_unknown_key_is_refused_with_the_nearest_known_one),
		cmocka_unit_test(test_a_key_that_stands_twice_is_refused),
		cmocka_unit_test(test_refuses_an_invalid_string_at_its_position),
		cmocka_unit_test(
		    test_a_required_key_that_is_missing_or_empty_is_refused),
		cmocka_unit_test(test_what_is_no_JSON_is_refused_with_line_and_column),
		cmocka_unit_test(test_an_error_is_one_line_whatever_the_file_holds),
		cmocka_unit_test(test_an_override_that_is_wrong_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
