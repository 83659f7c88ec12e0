#include "tests/lib/settings_sample.h"

static void
test_missing_keys_have_their_default_values(void **state)
{
	struct server server = read_server("{}");

	(void)state;
	assert_true(server.daemon);
	assert_int_equal(server.cores, 0);
	assert_int_equal(server.size, 65536);
	assert_int_equal(server.blocks, 10000);
	assert_int_equal(server.timeout_ns, 30000000000);
	assert_int_equal(server.policy, CLOCK);
	assert_null(server.realm);
	assert_int_equal(server.group_count, 0);
	assert_int_equal(server.port_count, 1);
	assert_string_equal(server.ports[0].name, "admin");
	assert_int_equal(server.ports[0].queue, 80);
	settings_finish(&server_table, &server);
}

static void
test_every_type_is_read_from_a_file_with_comments(void **state)
{
	struct server server = read_server(
	    "{ // every type\n"
	    "\"$note\": \"x\", \"daemon\": false, \"cores\": 9, # the rest\n"
	    "\"cache\": { \"size\": 1000, \"blocks\": \"1.5k\", /* evict */\n"
	    "  \"evict\": { \"policy\": \"fifo\" } },\n"
	    "\"timeout\": \"250ms\", \"realm\": \"Lan // no comment\",\n"
	    "\"groups\": [\"Dmz\", \"Wan\"],\n"
	    "\"ports\": [{ \"name\": \"a\" }, { \"queue\": 200, \"name\": \"b\" }] }");

	(void)state;
	assert_false(server.daemon);
	assert_int_equal(server.cores, 9);
	assert_int_equal(server.size, 1000);
	assert_int_equal(server.blocks, 1500);
	assert_int_equal(server.timeout_ns, 250000000);
	assert_int_equal(server.policy, FIFO);
	assert_string_equal(server.realm, "Lan // no comment");
	assert_int_equal(server.group_count, 2);
	assert_string_equal(server.groups[1], "Wan");
	assert_int_equal(server.port_count, 2);
	assert_int_equal(server.ports[0].queue, 80);
	assert_int_equal(server.ports[1].queue, 200);
	settings_finish(&server_table, &server);
	assert_null(server.ports);
	assert_int_equal(server.group_count, 0);
}

static void
test_accepts_auto_zero_and_the_exact_bounds(void **state)
{
	struct server server = read_server(
	    "{\"cores\": \"auto\", \"timeout\": 0, \"cache\":{\"size\": \"1M\", \"blocks\": 0}}");

	(void)state;
	assert_int_equal(server.cores, 0);
	assert_int_equal(server.timeout_ns, 0);
	assert_int_equal(server.size, 1 << 20);
	assert_int_equal(server.blocks, 0);
	settings_finish(&server_table, &server);
}

static void
test_an_override_sets_one_value_and_wins_over_the_file(void **state)
{
	struct server server = read_server("{\"cores\": 2, \"realm\": \"Lan\"}");

	(void)state;
	override_to(&server, "cores=3", "");
	override_to(&server, "daemon=false", "");
	override_to(&server, "cache.size=2k", "");
	override_to(&server, "cache.evict.policy=lru", "");
	override_to(&server, "realm=Dmz=Wan", "");
	override_to(&server, "groups=[\"Vpn\"]", "");
	override_to(&server, "ports[0].queue=100", "");
	assert_int_equal(server.cores, 3);
	assert_false(server.daemon);
	assert_int_equal(server.size, 2048);
	assert_int_equal(server.policy, LRU);
	assert_string_equal(server.realm, "Dmz=Wan");
	assert_string_equal(server.groups[0], "Vpn");
	assert_int_equal(server.ports[0].queue, 100);
	override_to(&server, "realm=", "");
	override_to(&server, "cores=auto", "");
	assert_null(server.realm);
	assert_int_equal(server.cores, 0);
	settings_finish(&server_table, &server);
}

static void
test_written_values_are_read_back_unchanged(void **state)
{
	struct server server = read_server(
	    "{\"realm\": \"A \\\"quoted\\\" \\u00e9\", \"groups\": [\"B\"], \"cores\": 4,\"cache\": {\"size\": 1537, \"evict\": {\"policy\": \"lru\"}}, \"timeout\": 0}");
	char *text = settings_write_values(&server_table, &server);
	assert_non_null(text);
	struct server again = read_server(text);
	char *text_again = settings_write_values(&server_table, &again);

	(void)state;
	assert_string_equal(text, text_again);
	assert_string_equal(again.realm, "A \"quoted\" \xc3\xa9");
	assert_non_null(strstr(text, "\"size\": \"1537\""));
	assert_non_null(strstr(text, "\"timeout\": \"0s\""));
	assert_null(strstr(text, "$note"));
	free(text);
	free(text_again);
	settings_finish(&server_table, &server);
	settings_finish(&server_table, &again);
}

static void
test_the_schema_contains_every_key_with_its_bounds(void **state)
{
	static const char *const parts[] = {
		"\"$schema\": \"http://json-schema.org/draft-07/schema#\"",
		"\"title\": \"Server\"", "\"maximum\": 9", "\"enum\": [",
		"\"maxItems\": 4", "\"additionalProperties\": false",
		"\"pattern\": \"^$|^[A-Z]\"", "\"required\": [", "\"default\": \"64k\"",
		"\"description\": \"A policy.\""
	};
	char *schema = settings_write_schema(&server_table);

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
	char expected[SETTINGS_EXPECTED_MAX];
	char *out = arg;

	sprintf(out + strlen(out), "%s: %s\n", name, settings_expected(row, expected));
}

static void
test_a_walk_visits_every_row_with_its_accepted_values(void **state)
{
	char out[2048] = "";

	(void)state;
	settings_walk(&server_table, add_name, out);
	assert_string_equal(out,
	    "$note: a string\n"
	    "daemon: true or false\n"
	    "cores: a whole number from 1 to 9 or \"auto\"\n"
	    "cache.size: a size from 1 to 1M (as \"64k\")\n"
	    "cache.blocks: a count from 100 to 1M (as \"10k\"; 0 is off)\n"
	    "cache.evict.policy: \"lru\", \"clock\" or \"fifo\"\n"
	    "timeout: a duration from 1ms to 1m (as \"30s\"; 0 is off)\n"
	    "realm: a string\n"
	    "groups: a list of 0 to 3 strings (as [\"a\", \"b\"])\n"
	    "ports: a list of 1 to 4 objects\n"
	    "ports[].name: a string\n"
	    "ports[].queue: a whole number from 50 to 200\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_missing_keys_have_their_default_values),
		cmocka_unit_test(test_every_type_is_read_from_a_file_with_comments),
		cmocka_unit_test(test_accepts_auto_zero_and_the_exact_bounds),
		cmocka_unit_test(
		    test_an_override_sets_one_value_and_wins_over_the_file),
		cmocka_unit_test(test_written_values_are_read_back_unchanged),
		cmocka_unit_test(test_the_schema_contains_every_key_with_its_bounds),
		cmocka_unit_test(test_a_walk_visits_every_row_with_its_accepted_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
