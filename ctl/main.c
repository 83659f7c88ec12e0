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
#include "ctl/ctl_faults.h"
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
	/* The argument was checked: it needs no escaping in a URL. */
	snprintf(whole, sizeof(whole), "%s%s%s%s", target,
	    options->argument != NULL ? options->argument : "",
	    !options->no_wait               ? ""
		: options->argument == NULL ? "?wait=outcome"
					    : "&wait=outcome",
	    options->is_forced ? "&force=1" : "");
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

static int
run_faults(const struct ctl_options *options)
{
	char error[CTL_ERROR_MAX];
	struct http_client_response answer;
	if (options->argument == NULL)
		return query(options, "/faults?record=0", ctl_faults_show);
	char *target = ctl_faults_target(options->arguments, error);
	if (target == NULL) {
		log_errorx("faults: %s", error);
		return EX_USAGE;
	}
	int rc = ctl_json_request(
	    options->socket, "POST", target, options->timeout_s, &answer, error);
	free(target);
	if (rc < 0)
		return fail(EX_UNAVAILABLE, error);
	rc = print_outcome(options, &answer);
	free(answer.body);
	return rc;
}

/* A command shows the reply to GET `target`, or requests the change POST `target`, to
 * which its argument is appended. */
struct row {
	const char *name, *target;
	const char *help;
	const char *operand;    /* the argument in the help; NULL: takes none */
	ctl_show_function show; /* NULL: a change */
	bool drains_workers;    /* accepts --no-wait */
	bool may_be_forced;     /* accepts --force; has an argument */
	const char *argument;   /* a description for errors; NULL: takes none */
	bool (*is_valid)(const char *argument);
	int (*run)(const struct ctl_options *options); /* instead of one request */
	bool takes_many; /* arguments, which it checks itself */
};

static const struct row rows[] = {
	{ "status", "/stats", "a summary", .show = ctl_show_status },
	{ "stats", "/stats", "all counters, listeners, losses in the kernel",
	    .show = ctl_show_stats },
	{ "workers", "/workers", "one line for each worker", .show = ctl_show_workers },
	{ "config", "/config", "the effective configuration", .show = ctl_config_show },
	{ "top", NULL, "a live view; q quits", .run = top_run },
	{ "reload", "/reload", "start a new generation with the configuration file",
	    .drains_workers = true },
	{ "scale", "/scale?workers=", "change the number of workers", "N",
	    .drains_workers = true, .may_be_forced = true,
	    .argument = "a number of workers", .is_valid = is_number },
	{ "rebalance", "/rebalance",
	    .help = "spread open connections evenly over the workers" },
	{ "upgrade", "/upgrade", "replace the running program by the one on disk",
	    .drains_workers = true },
	{ "stop", NULL, "drain and exit", .run = stop, .drains_workers = true },
	{ "log", "/log?level=",
	    "set the log level until a reload: error, warn, info, debug", "LEVEL",
	    .argument = "a level: error, warn, info or debug", .is_valid = is_level },
	{ "faults", NULL, "list the faults in effect; set LISTENER FAULT...; clear",
	    "...", .run = run_faults, .takes_many = true },
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static bool
is_change(const struct row *row)
{
	return row->show == NULL && row->run != top_run;
}

/* Adds the rows of one kind to the text, which must have room. */
static void
describe_commands(char *text, size_t size, bool changes)
{
	for (size_t i = 0; i < ROWS; i++) {
		const char *operand = rows[i].operand != NULL ? rows[i].operand : "";
		size_t at = strlen(text);
		if (is_change(&rows[i]) == changes)
			snprintf(text + at, size - at, "  %s %-*s %s\n", rows[i].name,
			    (int)(11 - strlen(rows[i].name)), operand, rows[i].help);
	}
}

static char *
make_help(void)
{
	char shows[1024] = "", changes[1024] = "";
	describe_commands(shows, sizeof(shows), false);
	describe_commands(changes, sizeof(changes), true);
	return xasprintf(
	    "Commands that show the state:\n%s\n"
	    "Commands that change it, and wait until old workers have exited:\n%s\n"
	    "Exit status: 0 done, 1 failed (the reason is on stderr), 64 bad usage, 69 no server answers, 71 out of memory, 75 not finished within --timeout.",
	    shows, changes);
}

static int
usage_error(const struct ctl_options *options)
{
	char names[256] = "";
	const char *known[ROWS + 1] = { NULL }, *nearest = NULL;
	for (size_t i = 0, at = 0; i < ROWS; i++) {
		known[i] = rows[i].name;
		if (at < sizeof(names))
			at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%s",
			    i == 0 ? " " : ", ", rows[i].name);
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
run(const struct row *row, const struct ctl_options *options)
{
	const char *argument = options->argument;
	if (options->no_wait && !row->drains_workers)
		return fail(
		    EX_USAGE, "--no-wait is for reload, scale, upgrade and stop");
	if (options->is_forced && !row->may_be_forced)
		return fail(EX_USAGE, "--force is for scale");
	if (options->is_json && row->run == top_run)
		return fail(EX_USAGE, "top has no --json output; use stats");
	if (row->takes_many)
		return row->run(options);
	if (options->argument != NULL && options->arguments[1] != NULL) {
		log_errorx("%s: found \"%.64s\", expected at most one argument",
		    options->command, options->arguments[1]);
		return EX_USAGE;
	}
	if (row->argument == NULL ? argument != NULL
				  : argument == NULL || !row->is_valid(argument)) {
		log_errorx("%s: found \"%.64s\", expected %s", options->command,
		    argument == NULL ? "" : argument,
		    row->argument == NULL ? "no argument" : row->argument);
		return EX_USAGE;
	}
	if (row->run != NULL)
		return row->run(options);
	return row->show != NULL ? query(options, row->target, row->show)
				 : request_change(options, row->target);
}

int
main(int argc, char **argv)
{
	struct ctl_options options;
	resources_ignore_sigxfsz();
	resources_reserve_streams();
	log_detect_journal();
	log_set_name("yodelctl", NULL);
	char *help = make_help();
	ctl_options_parse(argc, argv, help, &options);
	free(help);
	for (size_t i = 0; options.command != NULL && i < ROWS; i++) {
		if (strcmp(rows[i].name, options.command) == 0)
			return run(&rows[i], &options);
	}
	return usage_error(&options);
}
