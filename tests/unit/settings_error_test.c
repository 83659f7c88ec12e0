#include "tests/lib/settings_sample.h"

static void
test_a_value_of_the_wrong_kind_is_refused_with_what_was_expected(void **state)
{
	(void)state;
	check_refused(
	    "{\"heated\": 1}", "f:1:12: heated: found 1, expected true or false");
	check_refused("{\n\t\"rooms\": 2.5}",
	    "f:2:11: rooms: found 2.5, expected a whole number from 1 to 9 or \"auto\"");
	check_refused("{\"rooms\": \"2\"}",
	    "f:1:11: rooms: found \"2\", expected a whole number from 1 to 9 or \"auto\"");
	check_refused("{\"walls\": {\"area\": \"big\"}}",
	    "f:1:20: walls.area: found \"big\", expected a size from 1 to 1M (as \"64k\")");
	check_refused("{\"walls\": {\"bricks\": true}}",
	    "f:1:22: walls.bricks: found true, expected a count from 100 to 1M (as \"10k\"; 0 is off)");
	check_refused("{\"cooling\": 30}",
	    "f:1:13: cooling: found 30, expected a duration from 1ms to 1m (as \"30s\"; 0 is off)");
	check_refused("{\"walls\": {\"paint\": {\"colour\": \"pink\"}}}",
	    "f:1:32: walls.paint.colour: found \"pink\", expected \"red\", \"green\" or \"blue\"");
	check_refused(
	    "{\"owner\": []}", "f:1:11: owner: found an empty list, expected a string");
	check_refused("{\"guests\": \"Bob\"}",
	    "f:1:12: guests: found \"Bob\", expected a list of 0 to 3 strings (as [\"a\", \"b\"])");
	check_refused("{\"walls\": {\"paint\": \"red\"}}",
	    "f:1:21: walls.paint: found \"red\", expected an object");
	check_refused("{\"$note\": 1}", "f:1:11: $note: found 1, expected a string");
	check_refused("{\"doors\": [{\"name\": \"a\"}, 7]}",
	    "f:1:27: doors[1]: found 7, expected an object");
}

static void
test_a_value_out_of_bounds_is_refused(void **state)
{
	(void)state;
	check_refused("{\"rooms\": 0}",
	    "f:1:11: rooms: found 0, expected a whole number from 1 to 9 or \"auto\"");
	check_refused("{\"rooms\": -1}",
	    "f:1:11: rooms: found -1, expected a whole number from 1 to 9 or \"auto\"");
	check_refused("{\"walls\": {\"area\": \"1025k\"}}",
	    "f:1:20: walls.area: found \"1025k\", expected a size from 1 to 1M (as \"64k\")");
	check_refused("{\"cooling\": \"999us\"}",
	    "f:1:13: cooling: found \"999us\", expected a duration from 1ms to 1m (as \"30s\"; 0 is off)");
	check_refused("{\"doors\": []}",
	    "f:1:11: doors: found an empty list, expected a list of 1 to 4 objects");
	check_refused("{\"guests\": [\"A\", \"B\", \"C\", \"D\"]}",
	    "f:1:12: guests: found a list of 4, expected a list of 0 to 3 strings (as [\"a\", \"b\"])");
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
	    "f:1:2: unknown key \"walls.area\"; expected an object for each part of it");
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
	    "f:1:14: duplicate key \"rooms\"");
}

static void
test_refuses_an_invalid_string_at_its_position(void **state)
{
	(void)state;
	check_refused("{\"owner\": \"bob\"}",
	    "f:1:11: owner: found \"bob\", expected a capital letter");
	check_refused("{\"guests\": [\"Ann\",\n\"bob\"]}",
	    "f:2:1: guests[1]: found \"bob\", expected a capital letter");
	check_refused("{\"guests\": [\"\"]}",
	    "f:1:13: guests[0]: found \"\", expected a string that is not empty");
}

static void
test_a_required_key_that_is_missing_or_empty_is_refused(void **state)
{
	(void)state;
	check_refused("{\"doors\": [{\"name\": \"a\"},\n {\"width\": 100}]}",
	    "f:2:2: doors[1].name: missing");
	check_refused("{\"doors\": [{\"name\": \"\"}]}",
	    "f:1:21: doors[0].name: found \"\", expected a string that is not empty");
}

static void
test_what_is_no_JSON_is_refused_with_line_and_column(void **state)
{
	(void)state;
	check_refused("", "f: found nothing, expected an object, { ... }");
	check_refused("# comment\n", "f: found nothing, expected an object, { ... }");
	check_refused("[1]", "f:1:1: found a list, expected an object, { ... }");
	check_refused(
	    "{\"rooms\": 1,\n}", "f:2:1: found a comma before \"}\", expected none");
	check_refused("{\"guests\": [\"A\",]}",
	    "f:1:17: found a comma before \"]\", expected none");
	check_refused("{\"rooms\": 1\n \"heated\": true}",
	    "f:2:2: not JSON: found '\"heated\"', expected a comma or \"}\"");
	check_refused("{\"rooms\": 1",
	    "f:1:12: found the end of the file inside a value, expected its closing bracket");
	check_refused("{\"rooms\": yes}", "f:1:11: not JSON: invalid token near 'yes'");
	check_refused("{rooms: 1}",
	    "f:1:2: not JSON: found 'rooms', expected a key in double quotes or \"}\"");
	check_refused(
	    "\"x\"", "f:1:1: not JSON: found '\"x\"', expected an object, { ... }");
	check_refused("{\"rooms\" 1}", "f:1:10: not JSON: found '1', expected a colon");
	check_refused(
	    "{} x", "f:1:4: not JSON: found 'x', expected the end of the file");
	check_refused("{\"owner\": \"A\\u0000\"}",
	    "f:1:11: found a string that contains \\u0000, expected text");
	check_refused(
	    "{} /* x", "f:1:4: found a comment without an end, expected \"*/\"");
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
	override_to(&house, "rooms", "--set: found \"rooms\", expected KEY=VALUE");
	override_to(&house, "rooms=many",
	    "--set: rooms: found \"many\", expected a whole number from 1 to 9 or \"auto\"");
	override_to(
	    &house, "romms=1", "--set: unknown key \"romms\"; did you mean \"rooms\"?");
	override_to(&house, "walls.brick=1",
	    "--set: unknown key \"walls.brick\"; did you mean \"walls.bricks\"?");
	override_to(&house, "walls.pain.colour=red",
	    "--set: unknown key \"walls.pain\"; did you mean \"walls.paint\"?");
	override_to(&house, "walls.rooms=1",
	    "--set: unknown key \"walls.rooms\"; did you mean \"rooms\"?");
	override_to(&house, "walls.paint=red",
	    "--set: walls.paint: is an object, expected one of its keys: walls.paint.KEY=VALUE");
	override_to(&house, "doors[1].name=x",
	    "--set: doors[1]: not found, expected an index below 1");
	override_to(&house, "doors[0]=x",
	    "--set: found the key \"doors[0]\", expected one such as \"doors[0].name\"");
	override_to(&house, "doors[-1].name=x",
	    "--set: found the key \"doors[-1].name\", expected one such as \"doors[0].name\"");
	override_to(&house, "doors[0].wide=1",
	    "--set: unknown key \"doors[0].wide\"; did you mean \"doors[0].width\"?");
	override_to(&house, "rooms[0].x=1", "--set: rooms: not a list of objects");
	override_to(&house, "dors[0].name=x",
	    "--set: unknown key \"dors\"; did you mean \"doors\"?");
	override_to(&house, "heated=yes",
	    "--set: heated: found \"yes\", expected true or false");
	override_to(
	    &house, "owner=A\xff", "--set: owner: found invalid UTF-8, expected text");
	settings_finish(&house_table, &house);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_a_value_of_the_wrong_kind_is_refused_with_what_was_expected),
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
