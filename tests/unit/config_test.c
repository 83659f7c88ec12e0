#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka needs those above */
#include <cmocka.h>

#include "conf/config.h"

static char path[] = "/tmp/config_test.XXXXXX";

static int
make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static int
remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

static const char *
file_of(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	return path;
}

static struct config
load(const struct config_sources *sources)
{
	struct config config;
	char error[CONFIG_ERROR_MAX];

	if (config_load(sources, &config, error) < 0)
		fail_msg("%s", error);
	return config;
}

static struct config
load_text(const char *text)
{
	return load(&(struct config_sources){ .file = file_of(text) });
}

/* `expected` follows the name of the source. */
static void
check_refused(
    const struct config_sources *sources, const char *source, const char *expected)
{
	struct config config = { .workers = 77 };
	char error[CONFIG_ERROR_MAX] = "", line[CONFIG_ERROR_MAX];

	assert_int_equal(config_load(sources, &config, error), -1);
	snprintf(line, sizeof(line), "%s%s", source, expected);
	assert_string_equal(error, line);
	assert_int_equal(config.workers, 77);
}

static void
check_text_refused(const char *text, const char *expected)
{
	check_refused(
	    &(struct config_sources){ .file = file_of(text) }, path, expected);
}

static void
test_without_a_file_the_default_listener_replies_in_upper_case(void **state)
{
	struct config config = load(&(struct config_sources){ 0 });
	struct listener_config *listener = config.listeners;
	cpu_set_t allowed;

	(void)state;
	assert_int_equal(config.listener_count, 1);
	assert_string_equal(listener->address_text, "127.0.0.1:10000");
	assert_int_equal(address_port(&listener->address), 10000);
	assert_int_equal(listener->reply.kind, REPLY_UPPER);
	assert_int_equal(listener->framing, FRAMING_STREAM);
	assert_int_equal(listener->backlog, 4096);
	assert_true(listener->nodelay);
	assert_int_equal(listener->max_message, 65536);
	assert_int_equal(listener->allow_count, 0);
	assert_int_equal(config.limits.max_connections, 0);
	assert_int_equal(config.limits.max_pending, 1 << 20);
	assert_int_equal(config.timeouts.idle_ns, 0);
	assert_int_equal(config.timeouts.stalled_write_ns, 30000000000);
	assert_int_equal(config.timeouts.drain_ns, 30000000000);
	assert_int_equal(config.timeouts.drain_quiet_ns, 250000000);
	assert_int_equal(config.timeouts.hung_ns, 30000000000);
	assert_int_equal(config.log.level, LOG_LEVEL_INFO);
	assert_null(config.user);
	assert_null(config.admin.socket);
	assert_int_equal(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	assert_int_equal(config.workers, CPU_COUNT(&allowed));
	config_finish(&config);
}

static void
test_a_whole_file_is_loaded(void **state)
{
	struct config config = load_text(
	    "{ \"$schema\": \"x\", \"workers\": 3, \"listeners\": [\n"
	    "  { \"address\": \"[::1]:8001\", \"reply\": \"upper,suffix=_SB\",\n"
	    "    \"framing\": \"line\", \"max_message\": \"1k\", \"backlog\": 10,\n"
	    "    \"nodelay\": false, \"allow\": [\"10.0.0.0/8\", \"::1\"] },\n"
	    "  { \"address\": \"*:0\" }, { \"address\": \"*:0\" } ],\n"
	    "  \"events\": { \"method\": \"poll\" }, \"cpu_affinity\": true,\n"
	    "  \"limits\": { \"max_connections\": \"10k\", \"max_message\": \"2k\" },\n"
	    "  \"log\": { \"level\": \"debug\", \"format\": \"json\", \"file\": \"/x\" },\n"
	    "  \"admin\": { \"socket\": \"/run/x\", \"address\": \"127.0.0.1:9601\" },\n"
	    "  \"user\": \"root\" }");
	struct listener_config *listener = config.listeners;

	(void)state;
	assert_int_equal(config.workers, 3);
	assert_int_equal(config.listener_count, 3);
	assert_string_equal(listener->reply_text, "upper,suffix=_SB");
	assert_int_equal(listener->reply.text_length, 3);
	assert_int_equal(listener->framing, FRAMING_LINE);
	assert_int_equal(listener->max_message, 1024);
	assert_int_equal(listener->backlog, 10);
	assert_false(listener->nodelay);
	assert_int_equal(listener->allow_count, 2);
	assert_int_equal(listener->allow[0].bits, 8);
	assert_int_equal(listener->allow[1].family, AF_INET6);
	assert_int_equal(config.listeners[1].max_message, 2048);
	assert_int_equal(config.event_method, EVENTS_POLL);
	assert_true(config.cpu_affinity);
	assert_int_equal(config.limits.max_connections, 10000);
	assert_int_equal(config.log.format, LOG_FORMAT_JSON);
	assert_string_equal(config.log.file, "/x");
	assert_string_equal(config.admin.socket, "/run/x");
	assert_string_equal(config.user, "root");
	config_finish(&config);
}

static void
test_the_command_line_wins_over_the_file(void **state)
{
	const char *const listen[] = { "127.0.0.1:1=fixed=a=b", "[::1]:2", NULL };
	const char *const set[] = { "limits.max_message=1M",
		"listeners[1].framing=line", NULL };
	struct config config = load(&(struct config_sources){
	    .file =
		file_of("{\"workers\": 2, \"listeners\": [{\"address\": \"*:9\"}]}"),
	    .set = set,
	    .listen = listen,
	    .workers = "5" });

	(void)state;
	assert_int_equal(config.workers, 5);
	assert_int_equal(config.listener_count, 2);
	assert_string_equal(config.listeners[0].address_text, "127.0.0.1:1");
	assert_memory_equal(config.listeners[0].reply.text, "a=b", 3);
	assert_int_equal(config.listeners[1].reply.kind, REPLY_UPPER);
	assert_int_equal(config.listeners[1].framing, FRAMING_LINE);
	assert_int_equal(config.listeners[1].max_message, 1 << 20);
	config_finish(&config);
}

static void
test_two_listeners_with_one_address_are_refused(void **state)
{
	const char *const listen[] = { "*:80", "0.0.0.0:80=echo", NULL };

	(void)state;
	check_text_refused(
	    "{\"listeners\": [{\"address\": \"[::1]:80\"},{\"address\": \"127.0.0.1:80\"}, {\"address\": \"[0::1]:80\"}]}",
	    ": listeners[2].address: found \"[0::1]:80\", the address of listeners[0], expected another one");
	check_refused(&(struct config_sources){ .listen = listen }, "--listen",
	    ": listeners[1].address: found \"0.0.0.0:80\", the address of listeners[0], expected another one");
}

static void
test_a_file_that_cannot_be_read_is_refused_with_the_reason(void **state)
{
	(void)state;
	check_refused(&(struct config_sources){ .file = "/nowhere/x.json" },
	    "/nowhere/x.json", ": No such file or directory");
	check_refused(
	    &(struct config_sources){ .file = "/tmp" }, "/tmp", ": Is a directory");
}

static void
test_a_file_over_one_megabyte_is_refused(void **state)
{
	char *text = malloc((1 << 20) + 2);

	(void)state;
	assert_non_null(text);
	memset(text, ' ', (1 << 20) + 1);
	text[(1 << 20) + 1] = '\0';
	check_text_refused(
	    text, ": found more than 1M, expected a configuration of at most 1M");
	free(text);
}

static void
test_values_on_the_command_line_are_checked_like_those_in_the_file(void **state)
{
	const char *const bad_address[] = { "localhost", NULL };
	const char *const bad_reply[] = { "*:1=lower", NULL };
	const char *const bad_dscp[] = { "listeners[0].dscp=64", NULL };
	const char *const bad_days[] = { "listeners[0].tls.expiry_warning_days=4k",
		NULL };

	(void)state;
	check_refused(&(struct config_sources){ .workers = "0" }, "--workers",
	    ": workers: found 0, expected a whole number from 1 to 256 or \"auto\"");
	check_refused(&(struct config_sources){ .set = bad_dscp }, "--set",
	    ": listeners[0].dscp: found 64, expected a whole number from 1 to 63 (0 is off)");
	check_refused(&(struct config_sources){ .set = bad_days }, "--set",
	    ": listeners[0].tls.expiry_warning_days: found \"4k\", expected a count from 0 to 3650 (as \"10k\")");
	check_refused(&(struct config_sources){ .listen = bad_address }, "--listen",
	    ": address: found \"localhost\" without a port, expected \"address:port\" or \"[IPv6 address]:port\"");
	check_refused(&(struct config_sources){ .listen = bad_reply }, "--listen",
	    ": reply: found \"lower\", expected one of " SERVER_REPLY_SYNTAX);
}

static void
test_more_than_64_listeners_are_refused(void **state)
{
	const char *listen[CONFIG_LISTENERS_MAX + 2];

	(void)state;
	for (int i = 0; i <= CONFIG_LISTENERS_MAX; i++)
		listen[i] = "*:0";
	listen[CONFIG_LISTENERS_MAX + 1] = NULL;
	check_refused(&(struct config_sources){ .listen = listen }, "--listen",
	    ": found 65 listeners, expected at most 64");
	listen[CONFIG_LISTENERS_MAX] = NULL;
	struct config config = load(&(struct config_sources){ .listen = listen });
	assert_int_equal(config.listener_count, CONFIG_LISTENERS_MAX);
	config_finish(&config);
}

static void
test_a_printed_configuration_loads_as_the_same_configuration(void **state)
{
	struct config config = load_text(
	    "{\"workers\": 3, \"listeners\": [{\"address\": \"*:1\", \"max_message\": 77,\"reply\": \"fixed=\\\\n\\u00e9\\\"\", \"allow\": [\"::1/128\"]}],\"timeouts\": {\"idle\": \"90s\"}}");
	char *text = config_print(&config);
	assert_non_null(text);
	struct config again = load_text(text);
	char *text_again = config_print(&again);

	(void)state;
	assert_string_equal(text, text_again);
	assert_int_equal(again.listeners[0].max_message, 77);
	assert_int_equal(again.listeners[0].reply.text_length, 4);
	assert_int_equal(again.timeouts.idle_ns, 90000000000);
	free(text);
	free(text_again);
	config_finish(&config);
	config_finish(&again);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_without_a_file_the_default_listener_replies_in_upper_case),
		cmocka_unit_test(test_a_whole_file_is_loaded),
		cmocka_unit_test(test_the_command_line_wins_over_the_file),
		cmocka_unit_test(test_two_listeners_with_one_address_are_refused),
		cmocka_unit_test(
		    test_a_file_that_cannot_be_read_is_refused_with_the_reason),
		cmocka_unit_test(test_a_file_over_one_megabyte_is_refused),
		cmocka_unit_test(
		    test_values_on_the_command_line_are_checked_like_those_in_the_file),
		cmocka_unit_test(test_more_than_64_listeners_are_refused),
		cmocka_unit_test(
		    test_a_printed_configuration_loads_as_the_same_configuration),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
