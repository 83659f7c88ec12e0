/*
 * settings_origin_test.c - the source of each value: file, options, overrides.
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

struct port {
	char *name;
	uint32_t queue;
};

struct server {
	uint32_t cores, blocks;
	char **groups;
	size_t group_count;
	struct port *ports;
	size_t port_count;
	struct settings_origins origins;
};

static const struct setting port_rows[] = {
	{ .name = "name", .type = SETTING_STRING, SETTING_FIELD(struct port, name) },
	{ .name = "queue",
	    .type = SETTING_INTEGER,
	    SETTING_FIELD(struct port, queue),
	    .initial = "1",
	    .max = 9 },
	{ .name = NULL },
};

static const struct settings port_table = {
	.title = "port", .rows = port_rows, .size = sizeof(struct port)
};

static const struct setting server_rows[] = {
	{ .name = "cores",
	    .type = SETTING_INTEGER,
	    SETTING_FIELD(struct server, cores),
	    .initial = "3",
	    .max = 9 },
	{ .name = "cache.blocks",
	    .type = SETTING_INTEGER,
	    SETTING_FIELD(struct server, blocks),
	    .initial = "1",
	    .max = 9 },
	{ .name = "groups",
	    .type = SETTING_STRINGS,
	    SETTING_FIELD(struct server, groups),
	    .count_offset = offsetof(struct server, group_count) },
	{ .name = "ports",
	    .type = SETTING_OBJECTS,
	    SETTING_FIELD(struct server, ports),
	    .count_offset = offsetof(struct server, port_count),
	    .items = &port_table },
	{ .name = NULL },
};

static const struct settings server_table = { .title = "server",
	.rows = server_rows,
	.size = sizeof(struct server),
	.origins_offset = offsetof(struct server, origins) };

static void
read_text(struct server *server, const char *source, const char *text)
{
	char error[256] = "";
	int rc = settings_read_text(
	    &server_table, server, source, text, strlen(text), error, sizeof(error));
	assert_string_equal(error, "");
	assert_int_equal(rc, 0);
}

static void
override(struct server *server, const char *text)
{
	char error[256] = "";
	int rc = settings_override(
	    &server_table, server, "--set", text, error, sizeof(error));
	assert_string_equal(error, "");
	assert_int_equal(rc, 0);
}

static void
assert_origin(const struct server *server, const char *name, const char *source)
{
	const char *found = settings_origin_of(&server_table, server, name);
	if (source == NULL)
		assert_null(found);
	else
		assert_string_equal(found, source);
}

static void
test_the_last_source_is_the_origin(void **state)
{
	struct server server = { 0 };
	char error[256];
	(void)state;
	assert_int_equal(
	    settings_read_defaults(&server_table, &server, error, sizeof(error)), 0);
	assert_origin(&server, "cores", NULL);
	read_text(&server, "a.json",
	    "{\"cores\": 4, \"cache\": {\"blocks\": 2}, \"groups\": [\"A\", \"B\"]}");
	assert_origin(&server, "cores", "a.json");
	assert_origin(&server, "cache.blocks", "a.json");
	assert_origin(&server, "groups", "a.json");
	override(&server, "cache.blocks=3");
	assert_origin(&server, "cache.blocks", "--set");
	assert_origin(&server, "cores", "a.json");
	assert_int_equal(
	    settings_origin_set(&server_table, &server, "cores", "POST /scale"), 0);
	assert_origin(&server, "cores", "POST /scale");
	settings_finish(&server_table, &server);
	assert_int_equal(server.origins.count, 0);
}

static void
test_replacing_a_list_replaces_the_origins_of_its_items(void **state)
{
	struct server server = { 0 };
	(void)state;
	read_text(&server, "a.json",
	    "{\"cores\": 4, \"ports\": [{\"name\": \"admin\", \"queue\": 2}, {\"name\": \"http\"}]}");
	assert_origin(&server, "ports[0].queue", "a.json");
	assert_origin(&server, "ports[1].name", "a.json");
	assert_origin(&server, "ports[1].queue", NULL);
	override(&server, "ports[1].queue=3");
	assert_origin(&server, "ports[1].queue", "--set");
	override(&server, "ports=[{\"name\": \"http\"}]");
	assert_origin(&server, "ports[0].name", "--set");
	assert_origin(&server, "ports[0].queue", NULL);
	assert_origin(&server, "ports[1].name", NULL);
	assert_origin(&server, "cores", "a.json");
	settings_finish(&server_table, &server);
}

static void
test_every_value_is_written_with_its_origin(void **state)
{
	static const char *const expected[] = { "\"cores\": \"default\"",
		"\"cache.blocks\": \"--set\"", "\"groups\": \"default\"",
		"\"ports[0].name\": \"a \\\"b\\\"\"",
		"\"ports[0].queue\": \"default\"" };
	struct server server = { 0 };
	(void)state;
	read_text(&server, "a \"b\"", "{\"ports\": [{\"name\": \"admin\"}]}");
	override(&server, "cache.blocks=2");
	char *text = settings_write_origins(&server_table, &server);
	assert_non_null(text);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		assert_non_null(strstr(text, expected[i]));
	free(text);
	settings_finish(&server_table, &server);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_last_source_is_the_origin),
		cmocka_unit_test(
		    test_replacing_a_list_replaces_the_origins_of_its_items),
		cmocka_unit_test(test_every_value_is_written_with_its_origin),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
