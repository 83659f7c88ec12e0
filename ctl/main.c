/*
 * yodelctl - asks and steers a running yodeld.
 */
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "lib/json/json_load.h"
#include "lib/log.h"
#include "lib/resources.h"
#include "lib/suggest.h"

#include "ctl/ctl_config.h"
#include "ctl/ctl_http.h"
#include "ctl/ctl_json.h"
#include "ctl/ctl_options.h"
#include "ctl/ctl_show.h"
#include "ctl/top.h"

#define EXIT_POLL_MS 50
#define NUMBER_MAX_DIGITS 6

enum { FAILED = 1 };

static int
print_line(int status, const char *text)
{
	log_errorx("%s", text);
	return status;
}

/* What the server says in words: heap; NULL when out of memory. */
static char *
read_text(const struct http_client_response *answer)
{
	json_t *body = json_load_text(answer->body, strlen(answer->body), 0, NULL);
	char *text = strdup(ctl_json_text(body, "text"));
	json_decref(body);
	if (text != NULL)
		ctl_json_make_printable(text);
	return text;
}

/* What the server says about why not, from the body of its answer. */
static int
print_refusal(const struct http_client_response *answer)
{
	char *text = read_text(answer), status[64];
	snprintf(status, sizeof(status), "HTTP status %d", answer->status);
	print_line(FAILED, text != NULL && text[0] != '\0' ? text : status);
	free(text);
	return FAILED;
}

static int
print_whole(const char *text)
{
	if (fputs(text, stdout) < 0 || fflush(stdout) < 0)
		return print_line(FAILED, "standard output cannot be written");
	return EX_OK;
}

static int
show(const struct http_client_response *answer, ctl_show_function shows)
{
	const char *why;
	json_t *stats = ctl_json_load(answer->body, &why);
	if (stats == NULL)
		return print_line(FAILED, why);
	char *text = ctl_show_printable(shows, stats);
	json_decref(stats);
	int status =
	    text == NULL ? print_line(EX_OSERR, "out of memory") : print_whole(text);
	free(text);
	return status;
}

static int
query(const struct ctl_options *options, const char *target, ctl_show_function shows)
{
	char error[CTL_ERROR_MAX];
	struct http_client_response answer;
	if (ctl_http_request(options->socket, "GET", target,
		ctl_options_query_timeout_s(options), &answer, error) < 0)
		return print_line(EX_UNAVAILABLE, error);
	int status;
	if (answer.status != 200)
		status = print_refusal(&answer);
	else if (options->is_json)
		status = print_whole(answer.body);
	else
		status = show(&answer, shows);
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
		return print_refusal(answer);
	if (options->is_json)
		return printed;
	char *text = read_text(answer);
	printf("%s\n", text == NULL ? "" : text);
	free(text);
	return print_whole("");
}

static int
print_timeout(const struct ctl_options *options, const char *how)
{
	fprintf(stderr, "yodelctl: %s: not over after %g s; %s\n", options->command,
	    options->timeout_s, how);
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
	if (ctl_http_request(options->socket, "POST", whole, options->timeout_s,
		&answer, error) < 0) {
		if (errno == ETIMEDOUT)
			return print_timeout(options, "the server goes on with it");
		return print_line(EX_UNAVAILABLE, error);
	}
	int rc = print_outcome(options, &answer);
	free(answer.body);
	return rc;
}

/* With an argument that has been looked at: it needs no escapes in a target. */
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

/* The process that answers there now, which may be asked for so long; 0: none. */
static uint64_t
find_server_pid(const struct ctl_options *options, double timeout_s)
{
	char error[CTL_ERROR_MAX];
	struct http_client_response answer;
	if (ctl_http_request(
		options->socket, "GET", "/stats", timeout_s, &answer, error) < 0)
		return 0;
	json_t *body = json_load_text(answer.body, strlen(answer.body), 0, NULL);
	uint64_t pid = ctl_json_number(body, "pid");
	json_decref(body);
	free(answer.body);
	return pid;
}

/* Its last word comes before the server's end. */
static int
stop(const struct ctl_options *options)
{
	const struct timespec pause = { .tv_nsec = EXIT_POLL_MS * 1000000L };
	double deadline_s = http_client_now_s() + options->timeout_s, left_s;
	uint64_t pid = options->no_wait
	    ? 0
	    : find_server_pid(options, ctl_options_query_timeout_s(options));
	int rc = request_change(options, "/stop");
	while (rc == EX_OK && pid != 0 &&
	    (left_s = deadline_s - http_client_now_s()) > 0 &&
	    find_server_pid(options, left_s) == pid)
		nanosleep(&pause, NULL);
	if (rc == EX_OK && pid != 0 && http_client_now_s() >= deadline_s)
		return print_timeout(options, "the server has not ended yet");
	return rc;
}

/* Whether it can be anything is the server's to say. */
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
	const char *wants; /* its argument; NULL: none */
	bool (*is_wanted)(const char *argument);
	int (*run)(const struct ctl_options *options);
	bool drains_workers; /* workers: one may not want to wait for them */
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
	const char *known[ROWS + 1] = { NULL }, *meant = NULL;
	for (size_t i = 0, at = 0; i < ROWS; i++) {
		known[i] = rows[i].name;
		if (at < sizeof(names))
			at += (size_t)snprintf(
			    names + at, sizeof(names) - at, " %s", rows[i].name);
	}
	if (options->command != NULL)
		meant = suggest_nearest(options->command, known);
	if (options->command == NULL)
		log_errorx("no command; wanted one of%s", names);
	else if (meant != NULL)
		log_errorx("unknown command \"%.64s\"; did you mean \"%s\"?",
		    options->command, meant);
	else
		log_errorx("unknown command \"%.64s\"; wanted one of%s",
		    options->command, names);
	return EX_USAGE;
}

/* A flag that means nothing to the command was meant for another one. */
static int
usage_error_flag(const struct ctl_options *options, const char *flag, const char *why)
{
	log_errorx("%s: %s; wanted without %s", options->command, why, flag);
	return EX_USAGE;
}

static int
run(size_t row, const struct ctl_options *options)
{
	const char *argument = options->argument;
	if (options->no_wait && !rows[row].drains_workers)
		return usage_error_flag(options, "--no-wait", "sends no workers away");
	if (options->is_json && rows[row].run == top_run)
		return usage_error_flag(options, "--json", "has no JSON (stats has)");
	if (rows[row].wants == NULL ? argument == NULL
				    : argument != NULL && rows[row].is_wanted(argument))
		return rows[row].run(options);
	log_errorx("%s: found \"%.64s\", wanted %s", options->command,
	    argument == NULL ? "" : argument,
	    rows[row].wants == NULL ? "no argument" : rows[row].wants);
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
