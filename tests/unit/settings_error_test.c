#include "tests/lib/settings_sample.h"

static void
test_a_value_of_the_wrong_type_is_refused_with_the_expected_one(void **state)
{
	(void)state;
	check_refused(
	    "{\"daemon\": 1}", "f:1:12: daemon: found 1, expected true or false");
	check_refused("{\n\t\"cores\": 2.5}",
	    "f:2:11: cores: found 2.5, expected a whole number from 1 to 9 or \"auto\"");
	check_refused("{\"cores\": \"2\"}",
	    "f:1:11: cores: found \"2\", expected a whole number from 1 to 9 or \"auto\"");
	check_refused("{\"cache\": {\"size\": \"big\"}}",
	    "f:1:20: cache.size: found \"big\", expected a size from 1 to 1M (as \"64k\")");
	check_refused("{\"cache\": {\"blocks\": true}}",
	    "f:1:22: cache.blocks: found true, expected a count from 100 to 1M (as \"10k\"; 0 is off)");
	check_refused("{\"timeout\": 30}",
	    "f:1:13: timeout: found 30, expected a duration from 1ms to 1m (as \"30s\"; 0 is off)");
	check_refused("{\"cache\": {\"evict\": {\"policy\": \"rand\"}}}",
	    "f:1:32: cache.evict.policy: found \"rand\", expected \"lru\", \"clock\" or \"fifo\"");
	check_refused(
	    "{\"realm\": []}", "f:1:11: realm: found an empty list, expected a string");
	check_refused("{\"groups\": \"Dmz\"}",
	    "f:1:12: groups: found \"Dmz\", expected a list of 0 to 3 strings (as [\"a\", \"b\"])");
	check_refused("{\"cache\": {\"evict\": \"lru\"}}",
	    "f:1:21: cache.evict: found \"lru\", expected an object");
	check_refused("{\"$note\": 1}", "f:1:11: $note: found 1, expected a string");
	check_refused("{\"ports\": [{\"name\": \"a\"}, 7]}",
	    "f:1:27: ports[1]: found 7, expected an object");
}

static void
test_a_value_out_of_bounds_is_refused(void **state)
{
	(void)state;
	check_refused("{\"cores\": 0}",
	    "f:1:11: cores: found 0, expected a whole number from 1 to 9 or \"auto\"");
	check_refused("{\"cores\": -1}",
	    "f:1:11: cores: found -1, expected a whole number from 1 to 9 or \"auto\"");
	check_refused("{\"cache\": {\"size\": \"1025k\"}}",
	    "f:1:20: cache.size: found \"1025k\", expected a size from 1 to 1M (as \"64k\")");
	check_refused("{\"timeout\": \"999us\"}",
	    "f:1:13: timeout: found \"999us\", expected a duration from 1ms to 1m (as \"30s\"; 0 is off)");
	check_refused("{\"ports\": []}",
	    "f:1:11: ports: found an empty list, expected a list of 1 to 4 objects");
	check_refused("{\"groups\": [\"A\", \"B\", \"C\", \"D\"]}",
	    "f:1:12: groups: found a list of 4, expected a list of 0 to 3 strings (as [\"a\", \"b\"])");
}

static void
test_an_unknown_key_is_refused_with_the_nearest_known_one(void **state)
{
	(void)state;
	check_refused(
	    "{\"corrs\": 1}", "f:1:2: unknown key \"corrs\"; did you mean \"cores\"?");
	check_refused("{\"cache\":\n  {\"block\": 1}}",
	    "f:2:4: unknown key \"cache.block\"; did you mean \"cache.blocks\"?");
	check_refused(
	    "{\"cach\": {}}", "f:1:2: unknown key \"cach\"; did you mean \"cache\"?");
	check_refused("{\"ports\": [{\"nam\": \"x\"}]}",
	    "f:1:13: unknown key \"ports[0].nam\"; did you mean \"ports[0].name\"?");
	check_refused("{\"policy\": \"lru\"}",
	    "f:1:2: unknown key \"policy\"; did you mean \"cache.evict.policy\"?");
	check_refused("{\"queue\": 1}",
	    "f:1:2: unknown key \"queue\"; did you mean \"ports[].queue\"?");
	check_refused("{\"bandwidth\": 1}", "f:1:2: unknown key \"bandwidth\"");
	check_refused("{\"\": 1}", "f:1:2: unknown key \"\"");
	check_refused("{\"cache.size\": 1}",
	    "f:1:2: unknown key \"cache.size\"; expected an object for each part of it");
	/* A key of one object is unknown in another. */
	check_refused("{\"cache\": {\"cores\": 1}}",
	    "f:1:12: unknown key \"cache.cores\"; did you mean \"cores\"?");
	check_refused("{\"cache\": {\"cache.size\": 1}}",
	    "f:1:12: unknown key \"cache.cache.size\"; did you mean \"cache.size\"?");
}

static void
test_a_duplicate_key_is_refused(void **state)
{
	(void)state;
	check_refused("{\"cores\": 1, \"cores\": 1}",
	    "f:1:14: duplicate key \"cores\", expected it once");
}

static void
test_refuses_an_invalid_string_at_its_position(void **state)
{
	(void)state;
	check_refused("{\"realm\": \"dmz\"}",
	    "f:1:11: realm: found \"dmz\", expected a capital letter");
	check_refused("{\"groups\": [\"Lan\",\n\"dmz\"]}",
	    "f:2:1: groups[1]: found \"dmz\", expected a capital letter");
	check_refused("{\"groups\": [\"\"]}",
	    "f:1:13: groups[0]: found \"\", expected a string that is not empty");
}

static void
test_a_required_key_that_is_missing_or_empty_is_refused(void **state)
{
	(void)state;
	check_refused("{\"ports\": [{\"name\": \"a\"},\n {\"queue\": 100}]}",
	    "f:2:2: ports[1].name: missing, expected a string");
	check_refused("{\"ports\": [{\"name\": \"\"}]}",
	    "f:1:21: ports[0].name: found \"\", expected a string that is not empty");
}

static void
test_malformed_JSON_is_refused_with_line_and_column(void **state)
{
	(void)state;
	check_refused("", "f: found nothing, expected an object, { ... }");
	check_refused("# comment\n", "f: found nothing, expected an object, { ... }");
	check_refused("[1]", "f:1:1: found a list, expected an object, { ... }");
	check_refused(
	    "{\"cores\": 1,\n}", "f:2:1: found a comma before \"}\", expected none");
	check_refused("{\"groups\": [\"A\",]}",
	    "f:1:17: found a comma before \"]\", expected none");
	check_refused("{\"cores\": 1\n \"daemon\": true}",
	    "f:2:2: not JSON: found '\"daemon\"', expected a comma or \"}\"");
	check_refused("{\"cores\": 1",
	    "f:1:12: found the end of the file inside a value, expected its closing bracket");
	check_refused("{\"cores\": yes}", "f:1:11: not JSON: invalid token near 'yes'");
	check_refused("{cores: 1}",
	    "f:1:2: not JSON: found 'cores', expected a key in double quotes or \"}\"");
	check_refused(
	    "\"x\"", "f:1:1: not JSON: found '\"x\"', expected an object, { ... }");
	check_refused("{\"cores\" 1}", "f:1:10: not JSON: found '1', expected a colon");
	check_refused(
	    "{} x", "f:1:4: not JSON: found 'x', expected the end of the file");
	check_refused("{\"realm\": \"A\\u0000\"}",
	    "f:1:11: found a string that contains \\u0000, expected text");
	check_refused(
	    "{} /* x", "f:1:4: found a comment without an end, expected \"*/\"");
}

static void
test_an_error_is_one_line_for_any_file(void **state)
{
	struct server server = defaults();
	char text[4096], error[64];

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "{\"a\\nb", 6);
	memcpy(text + sizeof(text) - 5, "\":1}", 5);
	assert_int_equal(settings_read_text(&server_table, &server, "f", text,
			     strlen(text), error, sizeof(error)),
	    -1);
	assert_true(strlen(error) < sizeof(error));
	assert_null(strchr(error, '\n'));
	settings_finish(&server_table, &server);
}

static void
test_an_invalid_override_is_refused(void **state)
{
	struct server server = defaults();

	(void)state;
	override_to(&server, "cores", "--set: found \"cores\", expected KEY=VALUE");
	override_to(&server, "cores=many",
	    "--set: cores: found \"many\", expected a whole number from 1 to 9 or \"auto\"");
	override_to(&server, "corrs=1",
	    "--set: unknown key \"corrs\"; did you mean \"cores\"?");
	override_to(&server, "cache.block=1",
	    "--set: unknown key \"cache.block\"; did you mean \"cache.blocks\"?");
	override_to(&server, "cache.evic.policy=lru",
	    "--set: unknown key \"cache.evic\"; did you mean \"cache.evict\"?");
	override_to(&server, "cache.cores=1",
	    "--set: unknown key \"cache.cores\"; did you mean \"cores\"?");
	override_to(&server, "cache.evict=lru",
	    "--set: cache.evict: is an object, expected one of its keys: cache.evict.KEY=VALUE");
	override_to(&server, "ports[1].name=x",
	    "--set: ports[1]: not found, expected an index below 1");
	override_to(&server, "ports[0]=x",
	    "--set: found the key \"ports[0]\", expected one such as \"ports[0].name\"");
	override_to(&server, "ports[-1].name=x",
	    "--set: found the key \"ports[-1].name\", expected one such as \"ports[0].name\"");
	override_to(&server, "ports[0].queu=1",
	    "--set: unknown key \"ports[0].queu\"; did you mean \"ports[0].queue\"?");
	override_to(&server, "cores[0].x=1", "--set: cores: not a list of objects");
	override_to(&server, "prts[0].name=x",
	    "--set: unknown key \"prts\"; did you mean \"ports\"?");
	override_to(&server, "daemon=yes",
	    "--set: daemon: found \"yes\", expected true or false");
	override_to(
	    &server, "realm=A\xff", "--set: realm: found invalid UTF-8, expected text");
	settings_finish(&server_table, &server);
}

static void
check_bytes(const char *text, size_t length, const char *expected)
{
	struct server server = defaults();
	char error[256] = "";

	assert_int_equal(settings_read_text(&server_table, &server, "f", text, length,
			     error, sizeof(error)),
	    -1);
	assert_string_equal(error, expected);
	settings_finish(&server_table, &server);
}

#define CHECK_BYTES(text, expected) check_bytes(text, sizeof(text) - 1, expected)

static void
test_a_byte_that_is_no_text_is_named_with_its_place(void **state)
{
	(void)state;
	CHECK_BYTES("{\"cores\":\n 2}\n\0\0\0",
	    "f:3:1: found the byte 0x00 (byte 15 of 17), expected text in UTF-8");
	CHECK_BYTES(
	    "\0", "f:1:1: found the byte 0x00 (byte 1 of 1), expected text in UTF-8");
	CHECK_BYTES("// a\0\n{}",
	    "f:1:5: found the byte 0x00 (byte 5 of 8), expected text in UTF-8");
	CHECK_BYTES("{\"realm\": \"a\0b\"}",
	    "f:1:13: found the byte 0x00 (byte 13 of 16), expected text in UTF-8");
	CHECK_BYTES("{}\x1a",
	    "f:1:3: found the byte 0x1a (byte 3 of 3), expected text in UTF-8");
	CHECK_BYTES("{\"realm\": \"\xe9t\"}",
	    "f:1:12: found the byte 0xe9 (byte 12 of 15), expected text in UTF-8");
	CHECK_BYTES("{\"realm\": \"\xf0\x9f\x98",
	    "f:1:12: found the byte 0xf0 (byte 12 of 14), expected text in UTF-8");
	CHECK_BYTES("{\0}\0\n\0",
	    "f:1:2: found the byte 0x00 (byte 2 of 6), expected text in UTF-8; the file looks like UTF-16");
	CHECK_BYTES("\0{\0}",
	    "f:1:1: found the byte 0x00 (byte 1 of 4), expected text in UTF-8; the file looks like UTF-16");
	CHECK_BYTES("\xff\xfe{\0}\0",
	    "f:1:4: found the byte 0x00 (byte 4 of 6), expected text in UTF-8; the file looks like UTF-16");
	CHECK_BYTES("{\0\0\0}\0\0\0",
	    "f:1:2: found the byte 0x00 (byte 2 of 8), expected text in UTF-8; the file looks like UTF-32");
	CHECK_BYTES("{\"cores\":\xc2\xa0 2}",
	    "f:1:10: not JSON: found the character U+00A0, expected a value");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_a_value_of_the_wrong_type_is_refused_with_the_expected_one),
		cmocka_unit_test(test_a_value_out_of_bounds_is_refused),
		cmocka_unit_test(
		    test_an_unknown_key_is_refused_with_the_nearest_known_one),
		cmocka_unit_test(test_a_duplicate_key_is_refused),
		cmocka_unit_test(test_refuses_an_invalid_string_at_its_position),
		cmocka_unit_test(
		    test_a_required_key_that_is_missing_or_empty_is_refused),
		cmocka_unit_test(test_malformed_JSON_is_refused_with_line_and_column),
		cmocka_unit_test(test_an_error_is_one_line_for_any_file),
		cmocka_unit_test(test_an_invalid_override_is_refused),
		cmocka_unit_test(test_a_byte_that_is_no_text_is_named_with_its_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
