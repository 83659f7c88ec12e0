/*
 * settings_sample.h - a sample table of the settings of a server, with a row of each
 * type, and functions that read it. For cmocka programs.
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

enum policy { LRU, CLOCK, FIFO };
static const char *const policies[] = { "lru", "clock", "fifo", NULL };

struct port {
	char *name;
	uint32_t queue;
};

struct server {
	bool daemon;
	uint32_t cores;
	uint64_t size;
	uint64_t blocks;
	uint64_t timeout_ns;
	enum policy policy;
	char *realm;
	char **groups;
	size_t group_count;
	struct port *ports;
	size_t port_count;
};

static inline int
check_capital(const char *text, char *error, size_t error_size)
{
	if (text[0] >= 'A' && text[0] <= 'Z')
		return 0;
	snprintf(error, error_size, "found \"%s\", expected a capital letter", text);
	return -1;
}

#define PORT(member) SETTING_FIELD(struct port, member)
static const struct setting port_rows[] = {
	{ .name = "name",
	    .help = "Name of the port.",
	    .type = SETTING_STRING,
	    .flags = SETTING_REQUIRED,
	    PORT(name) },
	{ .name = "queue",
	    .help = "Length of its accept queue.",
	    .type = SETTING_INTEGER,
	    PORT(queue),
	    .initial = "80",
	    .min = 50,
	    .max = 200 },
	{ .name = NULL },
};
static const struct settings port_table = { "Port", port_rows, sizeof(struct port), 0 };

#define SERVER(member) SETTING_FIELD(struct server, member)
static const struct setting server_rows[] = {
	{ .name = "$note", .help = "A note.", .type = SETTING_ANNOTATION },
	{ .name = "daemon",
	    .help = "Runs in the background.",
	    .type = SETTING_BOOL,
	    SERVER(daemon),
	    .initial = "true" },
	{ .name = "cores",
	    .help = "CPU cores to use.",
	    .type = SETTING_INTEGER,
	    .flags = SETTING_AUTO,
	    SERVER(cores),
	    .initial = "auto",
	    .min = 1,
	    .max = 9 },
	{ .name = "cache.size",
	    .help = "A size.",
	    .type = SETTING_SIZE,
	    SERVER(size),
	    .initial = "64k",
	    .min = 1,
	    .max = 1 << 20 },
	{ .name = "cache.blocks",
	    .help = "A count.",
	    .type = SETTING_COUNT,
	    .flags = SETTING_OFF,
	    SERVER(blocks),
	    .initial = "10k",
	    .min = 100,
	    .max = 1000000 },
	{ .name = "cache.evict.policy",
	    .help = "A policy.",
	    .type = SETTING_ENUM,
	    SERVER(policy),
	    .initial = "clock",
	    .names = policies },
	{ .name = "timeout",
	    .help = "A duration.",
	    .type = SETTING_DURATION,
	    .flags = SETTING_OFF,
	    SERVER(timeout_ns),
	    .initial = "30s",
	    .min = 1000000,
	    .max = 60000000000 },
	{ .name = "realm",
	    .help = "A name.",
	    .type = SETTING_STRING,
	    SERVER(realm),
	    .check = check_capital,
	    .pattern = "^[A-Z]" },
	{ .name = "groups",
	    .help = "Names.",
	    .type = SETTING_STRINGS,
	    SERVER(groups),
	    .count_offset = offsetof(struct server, group_count),
	    .max = 3,
	    .check = check_capital,
	    .pattern = "^[A-Z]" },
	{ .name = "ports",
	    .help = "Ports.",
	    .type = SETTING_OBJECTS,
	    SERVER(ports),
	    .count_offset = offsetof(struct server, port_count),
	    .initial = "[{\"name\": \"admin\"}]",
	    .min = 1,
	    .max = 4,
	    .items = &port_table },
	{ .name = NULL },
};
static const struct settings server_table = { "Server", server_rows,
	sizeof(struct server), 0 };

static inline struct server
defaults(void)
{
	struct server server = { 0 };
	char error[256] = "";

	if (settings_read_defaults(&server_table, &server, error, sizeof(error)) < 0)
		fail_msg("%s", error);
	return server;
}

static inline struct server
read_server(const char *text)
{
	struct server server = defaults();
	char error[256] = "";

	if (settings_read_text(&server_table, &server, "f", text, strlen(text), error,
		sizeof(error)) != 0)
		fail_msg("%s", error);
	return server;
}

static inline void
check_refused(const char *text, const char *expected)
{
	struct server server = defaults();
	char error[256] = "";

	assert_int_equal(settings_read_text(&server_table, &server, "f", text,
			     strlen(text), error, sizeof(error)),
	    -1);
	assert_string_equal(error, expected);
	settings_finish(&server_table, &server);
}

static inline void
override_to(struct server *server, const char *override, const char *expected)
{
	char error[256] = "";

	int rc = settings_override(
	    &server_table, server, "--set", override, error, sizeof(error));
	assert_string_equal(error, expected);
	assert_int_equal(rc, *expected == '\0' ? 0 : -1);
}

#endif
