#include "tests/lib/settings_sample.h"

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
	struct house house = read_house(
	    "{\"rooms\": \"auto\", \"cooling\": 0, \"walls\":{\"area\": \"1M\", \"bricks\": 0}}");

	(void)state;
	assert_int_equal(house.rooms, 0);
	assert_int_equal(house.cooling_ns, 0);
	assert_int_equal(house.area, 1 << 20);
	assert_int_equal(house.bricks, 0);
	settings_finish(&house_table, &house);
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
test_what_is_written_reads_back_to_the_same(void **state)
{
	struct house house = read_house(
	    "{\"owner\": \"A \\\"quoted\\\" \\u00e9\", \"guests\": [\"B\"], \"rooms\": 4,\"walls\": {\"area\": 1537, \"paint\": {\"colour\": \"red\"}}, \"cooling\": 0}");
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
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		if (strstr(schema, parts[i]) == NULL)
			fail_msg("no %s in %s", parts[i], schema);
	free(schema);
}

static void
add_name(const char *name, const struct setting *row, void *arg)
{
	char wanted[SETTINGS_EXPECTED_MAX];
	char *out = arg;

	sprintf(out + strlen(out), "%s: %s\n", name, settings_expected(row, wanted));
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
	    "guests: a list of 0 to 3 strings (as [\"a\", \"b\"])\n"
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
		    test_an_override_sets_one_value_and_wins_over_the_file),
		cmocka_unit_test(test_what_is_written_reads_back_to_the_same),
		cmocka_unit_test(test_the_schema_holds_every_key_with_its_bounds),
		cmocka_unit_test(test_a_walk_names_every_row_and_what_it_accepts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
