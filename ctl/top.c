#include "ctl/top.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/units.h"
#include "lib/xmalloc.h"
#include "http/http_client.h"
#include "ctl/ctl_json.h"
#include "ctl/ctl_show.h"
#include "ctl/terminal.h"

enum { FAILED = 1 };

/* After the slot or the address; most rows fit a terminal of 80 columns. */
#define WORKER_COLUMNS " %7s %-11s %4s %8s %7s %6s %10s %7s %7s\n"
#define LISTENER_COLUMNS " %8s %7s %10s %7s %7s %11s%s\n"

/* Two replies of the server. */
struct view {
	FILE *out;
	const json_t *now, *before; /* before: NULL in the first view */
	double elapsed_s;
};

static uint64_t
rate(const struct view *view, const json_t *now, const json_t *before, const char *key)
{
	uint64_t a = ctl_json_number(before, key), b = ctl_json_number(now, key);
	if (before == NULL || b < a || view->elapsed_s <= 0)
		return 0;
	return ctl_json_to_count((double)(b - a) / view->elapsed_s);
}

static void
show_head(const struct view *view)
{
	const json_t *change = json_object_get(view->now, "last_change");
	char text[UNITS_TEXT_MAX];
	fprintf(view->out,
	    "yodeld %s (pid %" PRIu64 ")  %s  generation %" PRIu64 "  up %s\n",
	    ctl_json_text(view->now, "version"), ctl_json_number(view->now, "pid"),
	    ctl_json_text(view->now, "state"), ctl_json_number(view->now, "generation"),
	    units_show_duration(ctl_json_duration_ns(view->now, "uptime_s"), text));
	if (ctl_json_number(change, "number") > 0)
		fprintf(view->out, "%s%s\n",
		    json_is_true(json_object_get(change, "ok")) ? "" : "FAILED: ",
		    ctl_json_text(change, "text"));
}

static void
show_totals(const struct view *view)
{
	const json_t *now = json_object_get(view->now, "totals");
	const json_t *before = json_object_get(view->before, "totals");
	char texts[5][UNITS_TEXT_MAX];
	fprintf(view->out,
	    "\nconnections %s open, %s/s new   messages %s/s   in %s/s   out %s/s\n",
	    units_show_count(ctl_json_number(now, "connections_open"), texts[0]),
	    units_show_count(rate(view, now, before, "connections_accepted"), texts[1]),
	    units_show_count(rate(view, now, before, "messages_received"), texts[2]),
	    units_show_size(rate(view, now, before, "bytes_received"), texts[3]),
	    units_show_size(rate(view, now, before, "bytes_sent"), texts[4]));
}

/* Closed connections by reason, and connections that the kernel dropped before accept.
 */
static void
show_losses(const struct view *view)
{
	const json_t *closed =
	    json_object_get(json_object_get(view->now, "totals"), "connections_closed");
	const json_t *kernel = json_object_get(view->now, "kernel");
	const json_t *kernel_before = json_object_get(view->before, "kernel");
	const char *reason;
	json_t *value;
	char text[UNITS_TEXT_MAX];
	fprintf(view->out, "closed:%s", ctl_json_sum(closed) == 0 ? "  none" : "");
	json_object_foreach((json_t *)closed, reason, value)
	{
		if (json_integer_value(value) > 0)
			fprintf(view->out, "  %s %s", reason,
			    units_show_count(
				(uint64_t)json_integer_value(value), text));
	}
	fprintf(view->out, "\nkernel: listen overflows %s",
	    units_show_count(ctl_json_number(kernel, "listen_overflows"), text));
	fprintf(view->out, " (+%s/s)",
	    units_show_count(
		rate(view, kernel, kernel_before, "listen_overflows"), text));
	fprintf(view->out, ", refused %s",
	    units_show_count(ctl_json_number(kernel, "listen_refused"), text));
	fprintf(view->out, " (+%s/s)",
	    units_show_count(
		rate(view, kernel, kernel_before, "listen_refused"), text));
	fprintf(view->out, ", aborted by clients %s\n",
	    units_show_count(ctl_json_number(kernel, "handshakes_aborted"), text));
}

static void
show_worker(const struct view *view, const json_t *now, const json_t *before)
{
	char texts[6][UNITS_TEXT_MAX], numbers[2][CTL_JSON_TEXT_MAX];
	fprintf(view->out, "%4" PRIu64 WORKER_COLUMNS, ctl_json_number(now, "slot"),
	    ctl_json_format(now, "pid", numbers[0]), ctl_json_text(now, "state"),
	    ctl_json_format(now, "generation", numbers[1]),
	    units_show_count(ctl_json_number(now, "restarts"), texts[0]),
	    units_show_count(ctl_json_number(now, "connections_open"), texts[1]),
	    units_show_count(rate(view, now, before, "connections_accepted"), texts[2]),
	    units_show_count(rate(view, now, before, "messages_received"), texts[3]),
	    units_show_size(rate(view, now, before, "bytes_received"), texts[4]),
	    units_show_size(rate(view, now, before, "bytes_sent"), texts[5]));
}

/* The object of the reply before in the array `list` with the same `key`, or NULL. */
static const json_t *
find_before(
    const struct view *view, const char *list, const char *key, const json_t *now)
{
	size_t i;
	json_t *row;
	json_array_foreach(json_object_get(view->before, list), i, row)
	{
		if (json_equal(json_object_get(row, key), json_object_get(now, key)))
			return row;
	}
	return NULL;
}

static void
show_workers(const struct view *view)
{
	size_t i;
	json_t *worker;
	fprintf(view->out, "\n%4s" WORKER_COLUMNS, "SLOT", "PID", "STATE", "GEN",
	    "RESTARTS", "OPEN", "NEW/S", "MESSAGES/S", "IN/S", "OUT/S");
	json_array_foreach(json_object_get(view->now, "workers"), i, worker)
	{
		show_worker(view, worker, find_before(view, "workers", "slot", worker));
	}
}

static void
show_listener(
    const struct view *view, const json_t *now, const json_t *before, int width)
{
	char texts[6][UNITS_TEXT_MAX];
	fprintf(view->out, "%-*s" LISTENER_COLUMNS, width,
	    ctl_json_text(now, "address"),
	    units_show_count(ctl_json_number(now, "connections_open"), texts[0]),
	    units_show_count(rate(view, now, before, "connections_accepted"), texts[1]),
	    units_show_count(rate(view, now, before, "messages_received"), texts[2]),
	    ctl_json_show_count(now, "queue_depth", texts[3]),
	    ctl_json_show_count(now, "queue_limit", texts[4]),
	    units_show_count(rate(view, now, before, "queue_overflows"), texts[5]),
	    json_is_object(json_object_get(now, "tls")) ? "  tls" : "");
}

static void
show_listeners(const struct view *view)
{
	size_t i;
	json_t *listener;
	int width = ctl_show_address_width(json_object_get(view->now, "listeners"));
	fprintf(view->out, "\n%-*s" LISTENER_COLUMNS, width, "LISTENER", "OPEN",
	    "NEW/S", "MESSAGES/S", "QUEUED", "LIMIT", "OVERFLOWS/S", "");
	json_array_foreach(json_object_get(view->now, "listeners"), i, listener)
	{
		show_listener(view, listener,
		    find_before(view, "listeners", "address", listener), width);
	}
}

char *
top_format(const json_t *now, const json_t *before, double elapsed_s)
{
	char *text = NULL;
	size_t length;
	struct view view = { .out = xmalloc_check(open_memstream(&text, &length)),
		.now = now,
		.before = before,
		.elapsed_s = elapsed_s };
	show_head(&view);
	show_totals(&view);
	show_losses(&view);
	show_workers(&view);
	show_listeners(&view);
	if (fclose(view.out) < 0)
		xmalloc_fail();
	ctl_json_make_printable(text);
	return text;
}

struct sample {
	json_t *stats; /* NULL: none yet */
	double at_s;
};

/* 0, or an exit status with the reason in error. */
static int
take_sample(const struct ctl_options *options, struct sample *ret, char *error)
{
	struct http_client_response answer;
	if (ctl_json_request(options->socket, "GET", "/stats",
		ctl_options_query_timeout_s(options), &answer, error) < 0)
		return EX_UNAVAILABLE;
	if (answer.status != 200) {
		snprintf(error, CTL_ERROR_MAX, "HTTP status %d", answer.status);
		free(answer.body);
		return FAILED;
	}
	ret->stats = ctl_json_load(answer.body);
	ret->at_s = clock_now_s();
	free(answer.body);
	if (ret->stats != NULL)
		return EX_OK;
	snprintf(error, CTL_ERROR_MAX, "%s", CTL_JSON_ERROR);
	return FAILED;
}

/* Prints or draws one view. Returns an exit status, with one line in error. */
static int
show(const char *text, bool is_terminal, char *error)
{
	if (is_terminal) {
		terminal_draw(text);
		return EX_OK;
	}
	if (printf("%s\n", text) >= 0 && fflush(stdout) == 0)
		return EX_OK;
	snprintf(error, CTL_ERROR_MAX, "cannot write to standard output");
	return FAILED;
}

/* Waits until the next view is due; true if `q` was pressed. Neither other keys nor a
 * resize bring it forward, because rates over a short moment mean nothing. */
static bool
wait_for_quit(double seconds, const char *text, bool is_terminal)
{
	double deadline_s = clock_now_s() + seconds, left_s;
	while ((left_s = deadline_s - clock_now_s()) > 0) {
		int key = terminal_wait_key(left_s);
		if (key == 'q' || key == 'Q')
			return true;
		if (key == TERMINAL_REDRAW && is_terminal)
			terminal_draw(text);
	}
	return false;
}

int
top_run(const struct ctl_options *options)
{
	struct sample before = { .stats = NULL }, now;
	char error[CTL_ERROR_MAX];
	int rc = take_sample(options, &now, error);
	bool is_terminal = rc == EX_OK && terminal_enter(), is_running = true;
	for (unsigned view = 1; rc == EX_OK && is_running; view++) {
		char *text =
		    top_format(now.stats, before.stats, now.at_s - before.at_s);
		rc = show(text, is_terminal, error);
		is_running = rc == EX_OK && view != options->frames &&
		    !wait_for_quit(options->interval_s, text, is_terminal);
		free(text);
		json_decref(before.stats);
		before = now;
		if (is_running)
			rc = take_sample(options, &now, error);
	}
	json_decref(before.stats);
	terminal_leave();
	if (rc != EX_OK)
		log_errorx("%s", error);
	return rc;
}
