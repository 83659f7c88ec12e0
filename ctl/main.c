/*
 * yodelctl - shows and changes the state of a running yodeld. One row for each command.
 */
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/resources.h"
#include "lib/suggest.h"
#include "lib/xmalloc.h"

#include "ctl/ctl_config.h"
#include "ctl/ctl_json.h"
#include "ctl/ctl_options.h"
#include "ctl/ctl_show.h"
#include "ctl/top.h"

#define EXIT_POLL_MS 50
#define NUMBER_MAX_DIGITS 6

enum { FAILED = 1 };

static int
fail(int status, const char *text)
{
	log_errorx("%s", text);
	return status;
}

/* The outcome in words, or the HTTP status if the body has none. The caller frees it.
 */
static char *
outcome_text(const struct http_client_response *answer)
{
	json_t *body = ctl_json_load(answer->body);
	const char *found = ctl_json_text(body, "text");
	char *text = found[0] != '\0' || answer->status == 200
	    ? xstrdup(found)
	    : xasprintf("HTTP status %d", answer->status);
	json_decref(body);
	ctl_json_make_printable(text);
	return text;
}

static int
print_failure(const struct http_client_response *answer)
{
	char *text = outcome_text(answer);
	fail(FAILED, text);
	free(text);
	return FAILED;
}

static int
print_whole(const char *text)
{
	if (fputs(text, stdout) < 0 || fflush(stdout) < 0)
		return fail(FAILED, "cannot write to standard output");
	return EX_OK;
}

static int
print_table(const struct http_client_response *answer, ctl_show_function show)
{
	json_t *stats = ctl_json_load(answer->body);
	if (stats == NULL)
		return fail(FAILED, CTL_JSON_ERROR);
	char *text = ctl_show_printable(show, stats);
	json_decref(stats);
	int status = print_whole(text);
	free(text);
	return status;
}

static int
query(const struct ctl_options *options, const char *target, ctl_show_function show)
{
	char error[CTL_ERROR_MAX];
	struct http_client_response answer;
	if (ctl_json_request(options->socket, "GET", target,
		ctl_options_query_timeout_s(options), &answer, error) < 0)
		return fail(EX_UNAVAILABLE, error);
	int status;
	if (answer.status != 200)
		status = print_failure(&answer);
	else if (options->is_json)
		status = print_whole(answer.body);
	else
		status = print_table(&answer, show);
	free(answer.body);
	return status;
}

static int
status(const struct ctl_options *options)
{
	return query(options, "/stats", ctl_show_status);
}

static int
stats(const struct ctl_options *options)
{
	return query(options, "/stats", ctl_show_stats);
}

static int
workers(const struct ctl_options *options)
{
	return query(options, "/workers", ctl_show_workers);
}

static int
config(const struct ctl_options *options)
{
	return query(options, "/config", ctl_config_show);
}

static int
print_outcome(
    const struct ctl_options *options, const struct http_client_response *answer)
{
	int printed = options->is_json ? print_whole(answer->body) : EX_OK;
	if (answer->status != 200)
		return print_failure(answer);
	if (options->is_json)
		return printed;
	char *text = outcome_text(answer);
	printf("%s\n", text);
	free(text);
	return print_whole("");
}

static int
print_timeout(const struct ctl_options *options, const char *state)
{
	log_errorx("%s: not finished within %g s (--timeout); %s", options->command,
	    options->timeout_s, state);
	return EX_TEMPFAIL;
}

static int
request_change(const struct ctl_options *options, const char *target)
{
	char error[CTL_ERROR_MAX], whole[128];
	struct http_client_response answer;
	snprintf(whole, sizeof(whole), "%s%s%s", target,
	    !options->no_wait                 ? ""
		: strchr(target, '?') == NULL ? "?"
					      : "&",
	    options->no_wait ? "wait=outcome" : "");
	if (ctl_json_request(options->socket, "POST", whole, options->timeout_s,
		&answer, error) < 0) {
		if (errno == ETIMEDOUT)
			return print_timeout(options, "the server continues with it");
		return fail(EX_UNAVAILABLE, error);
	}
	int rc = print_outcome(options, &answer);
	free(answer.body);
	return rc;
}

/* The argument was checked: it needs no escaping in a URL. */
static int
request_change_with(const struct ctl_options *options, const char *target)
{
	char whole[128];
	snprintf(whole, sizeof(whole), "%s%s", target, options->argument);
	return request_change(options, whole);
}

static int
reload(const struct ctl_options *options)
{
	return request_change(options, "/reload");
}

static int
upgrade(const struct ctl_options *options)
{
	return request_change(options, "/upgrade");
}

static int
rebalance(const struct ctl_options *options)
{
	return request_change(options, "/rebalance");
}

static int
scale(const struct ctl_options *options)
{
	return request_change_with(options, "/scale?workers=");
}

static int
log_level(const struct ctl_options *options)
{
	return request_change_with(options, "/log?level=");
}

/* The process id of the server; 0 if none answers within the time. */
static uint64_t
find_server_pid(const struct ctl_options *options, double timeout_s)
{
	char error[CTL_ERROR_MAX];
	struct http_client_response answer;
	if (ctl_json_request(
		options->socket, "GET", "/stats", timeout_s, &answer, error) < 0)
		return 0;
	json_t *body = ctl_json_load(answer.body);
	uint64_t pid = ctl_json_number(body, "pid");
	json_decref(body);
	free(answer.body);
	return pid;
}

/* The server answers before it exits: poll until another process, or none, answers. */
static int
stop(const struct ctl_options *options)
{
	const struct timespec pause = { .tv_nsec = EXIT_POLL_MS * 1000000L };
	double deadline_s = clock_now_s() + options->timeout_s, left_s;
	uint64_t pid = options->no_wait
	    ? 0
	    : find_server_pid(options, ctl_options_query_timeout_s(options));
	int rc = request_change(options, "/stop");
	while (rc == EX_OK && pid != 0 && (left_s = deadline_s - clock_now_s()) > 0 &&
	    find_server_pid(options, left_s) == pid)
		nanosleep(&pause, NULL);
	if (rc == EX_OK && pid != 0 && clock_now_s() >= deadline_s)
		return print_timeout(options, "the server is still running");
	return rc;
}

/* The server checks the range. */
static bool
is_number(const char *text)
{
	size_t length = strspn(text, "0123456789");
	return length > 0 && length <= NUMBER_MAX_DIGITS && text[length] == '\0';
}

static bool
is_level(const char *text)
{
	for (const char *const *name = log_level_names; *name != NULL; name++) {
		if (strcmp(*name, text) == 0)
			return true;
	}
	return false;
}

static const struct {
	const char *name;
	const char *argument; /* a description for errors; NULL: takes none */
	bool (*is_valid)(const char *argument);
	int (*run)(const struct ctl_options *options);
	bool drains_workers; /* accepts --no-wait */
} rows[] = {
	{ "status", NULL, NULL, status, false },
	{ "stats", NULL, NULL, stats, false },
	{ "workers", NULL, NULL, workers, false },
	{ "config", NULL, NULL, config, false },
	{ "top", NULL, NULL, top_run, false },
	{ "reload", NULL, NULL, reload, true },
	{ "scale", "a number of workers", is_number, scale, true },
	{ "rebalance", NULL, NULL, rebalance, false },
	{ "upgrade", NULL, NULL, upgrade, true },
	{ "stop", NULL, NULL, stop, true },
	{ "log", "a level: error, warn, info or debug", is_level, log_level, false },
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static int
usage_error(const struct ctl_options *options)
{
	char names[256] = "";
	const char *known[ROWS + 1] = { NULL }, *nearest = NULL;
	for (size_t i = 0, at = 0; i < ROWS; i++) {
		known[i] = rows[i].name;
		if (at < sizeof(names))
			at += (size_t)snprintf(
			    names + at, sizeof(names) - at, " %s", rows[i].name);
	}
	if (options->command != NULL)
		nearest = suggest_nearest(options->command, known);
	if (options->command == NULL)
		log_errorx("missing command: expected one of%s", names);
	else if (nearest != NULL)
		log_errorx("unknown command \"%.64s\"; did you mean \"%s\"?",
		    options->command, nearest);
	else
		log_errorx("unknown command \"%.64s\"; expected one of%s",
		    options->command, names);
	return EX_USAGE;
}

static int
run(size_t row, const struct ctl_options *options)
{
	const char *argument = options->argument;
	if (options->no_wait && !rows[row].drains_workers)
		return fail(
		    EX_USAGE, "--no-wait is for reload, scale, upgrade and stop");
	if (options->is_json && rows[row].run == top_run)
		return fail(EX_USAGE, "top has no --json output; use stats");
	if (rows[row].argument == NULL
		? argument == NULL
		: argument != NULL && rows[row].is_valid(argument))
		return rows[row].run(options);
	log_errorx("%s: found \"%.64s\", expected %s", options->command,
	    argument == NULL ? "" : argument,
	    rows[row].argument == NULL ? "no argument" : rows[row].argument);
	return EX_USAGE;
}

int
main(int argc, char **argv)
{
	struct ctl_options options;
	resources_reserve_streams();
	log_set_name("yodelctl", NULL);
	ctl_options_parse(argc, argv, &options);
	for (size_t i = 0; options.command != NULL && i < ROWS; i++) {
		if (strcmp(rows[i].name, options.command) == 0)
			return run(i, &options);
	}
	return usage_error(&options);
}
