#include "ctl/ctl_show.h"

#include <string.h>

#include "lib/printable.h"
#include "lib/units.h"
#include "lib/xmalloc.h"
#include "ctl/ctl_json.h"

#define ADDRESS_WIDTH 24
#define WORKER_COLUMNS " %7s %-11s %4s %8s %8s %11s %13s %6s\n" /* 80 in all */
#define REPLY_MAX 48
#define LINE_WIDTH 80

/* Draining workers are surplus and not counted. */
static void
count_workers(const json_t *workers, size_t *ret_serving, size_t *ret_all)
{
	size_t i;
	json_t *worker;
	*ret_serving = *ret_all = 0;
	json_array_foreach((json_t *)workers, i, worker)
	{
		const char *state = ctl_json_text(worker, "state");
		*ret_serving += strcmp(state, "serving") == 0;
		*ret_all += strcmp(state, "draining") != 0;
	}
}

int
ctl_show_address_width(const json_t *listeners)
{
	size_t width = ADDRESS_WIDTH, i;
	json_t *listener;
	json_array_foreach((json_t *)listeners, i, listener)
	{
		size_t length = strlen(ctl_json_text(listener, "address"));
		width = length > width ? length : width;
	}
	return (int)width;
}

/* Unix sockets and MPTCP are evident from the address. */
static void
show_addresses(FILE *out, const json_t *listeners)
{
	size_t i, column = (size_t)fprintf(out, "listening on");
	json_t *listener;
	json_array_foreach((json_t *)listeners, i, listener)
	{
		const char *address = ctl_json_text(listener, "address");
		bool has_tls = json_is_object(json_object_get(listener, "tls"));
		bool is_last = i + 1 == json_array_size(listeners);
		size_t length = strlen(address) + (has_tls ? 6 : 0) + !is_last;
		if (i > 0 && column + 1 + length > LINE_WIDTH)
			column = (size_t)fprintf(out, "\n ") - 1;
		fprintf(out, " %s%s%s", address, has_tls ? " (tls)" : "",
		    is_last ? "" : ",");
		column += 1 + length;
	}
	fputc('\n', out);
}

void
ctl_show_status(FILE *out, const json_t *stats)
{
	size_t serving, workers;
	const json_t *totals = json_object_get(stats, "totals");
	const json_t *change = json_object_get(stats, "last_change");
	char text[UNITS_TEXT_MAX];
	count_workers(json_object_get(stats, "workers"), &serving, &workers);
	fprintf(out, "yodeld %s (pid %d): %s, generation %d, up %s\n",
	    ctl_json_text(stats, "version"), (int)ctl_json_number(stats, "pid"),
	    ctl_json_text(stats, "state"), (int)ctl_json_number(stats, "generation"),
	    units_show_duration(ctl_json_duration_ns(stats, "uptime_s"), text));
	fprintf(out, "%zu of %zu workers serve %s connections", serving, workers,
	    units_show_count(ctl_json_number(totals, "connections_open"), text));
	fprintf(out, ", %s messages so far\n",
	    units_show_count(ctl_json_number(totals, "messages_received"), text));
	show_addresses(out, json_object_get(stats, "listeners"));
	if (ctl_json_number(change, "number") > 0)
		fprintf(out, "last change%s: %s\n",
		    json_is_true(json_object_get(change, "ok")) ? "" : " FAILED",
		    ctl_json_text(change, "text"));
}

static void
show_number(FILE *out, const char *name, const json_t *value)
{
	char text[UNITS_TEXT_MAX];
	if (json_is_integer(value))
		fprintf(out, "  %-24s %20s\n", name,
		    units_show_count((uint64_t)json_integer_value(value), text));
}

/* The sum, then each reason or kind that occurred. */
static void
show_parts(FILE *out, const char *name, const json_t *parts)
{
	const char *reason;
	json_t *value;
	char text[UNITS_TEXT_MAX];
	fprintf(
	    out, "  %-24s %20s\n", name, units_show_count(ctl_json_sum(parts), text));
	json_object_foreach((json_t *)parts, reason, value)
	{
		if (json_integer_value(value) > 0)
			fprintf(out, "    %-22s %20s\n", reason,
			    units_show_count(
				(uint64_t)json_integer_value(value), text));
	}
}

static void
show_listener(FILE *out, const json_t *listener, int width)
{
	char texts[5][UNITS_TEXT_MAX], queue[2 * UNITS_TEXT_MAX + 4], reply[REPLY_MAX];
	snprintf(queue, sizeof(queue), "%s of %s",
	    ctl_json_show_count(listener, "queue_depth", texts[0]),
	    ctl_json_show_count(listener, "queue_limit", texts[1]));
	bool has_tls = json_is_object(json_object_get(listener, "tls"));
	fprintf(out, "%-*s %10s %12s %14s %16s %10s  %s, %s%s\n", width,
	    ctl_json_text(listener, "address"),
	    units_show_count(ctl_json_number(listener, "connections_open"), texts[2]),
	    units_show_count(
		ctl_json_number(listener, "connections_accepted"), texts[3]),
	    units_show_count(ctl_json_number(listener, "messages_received"), texts[4]),
	    queue,
	    units_show_count(ctl_json_number(listener, "queue_overflows"), texts[0]),
	    printable_escape(ctl_json_text(listener, "reply"), reply, sizeof(reply)),
	    ctl_json_text(listener, "framing"), has_tls ? ", tls" : "");
}

/* QUEUE: length of the accept queue and its limit. OVERFLOWS: connections that found
 * it full. */
static void
show_listeners(FILE *out, const json_t *listeners)
{
	size_t i;
	json_t *listener;
	int width = ctl_show_address_width(listeners);
	fprintf(out, "\n%-*s %10s %12s %14s %16s %10s  %s\n", width, "LISTENER", "OPEN",
	    "ACCEPTED", "MESSAGES", "QUEUE", "OVERFLOWS", "REPLY");
	json_array_foreach((json_t *)listeners, i, listener)
	{
		show_listener(out, listener, width);
	}
}

void
ctl_show_stats(FILE *out, const json_t *stats)
{
	const json_t *totals = json_object_get(stats, "totals");
	const char *name;
	json_t *value;
	ctl_show_status(out, stats);
	fputc('\n', out);
	json_object_foreach((json_t *)totals, name, value)
	{
		if (json_is_object(value))
			show_parts(out, name, value);
		else
			show_number(out, name, value);
	}
	show_listeners(out, json_object_get(stats, "listeners"));
	fprintf(out, "\nkernel counters since boot:\n");
	json_object_foreach(json_object_get(stats, "kernel"), name, value)
	{
		show_number(out, name, value);
	}
}

void
ctl_show_workers(FILE *out, const json_t *stats)
{
	size_t i;
	json_t *worker;
	fprintf(out, "%4s" WORKER_COLUMNS, "SLOT", "PID", "STATE", "GEN", "RESTARTS",
	    "OPEN", "ACCEPTED", "MESSAGES", "LOST");
	json_array_foreach(json_object_get(stats, "workers"), i, worker)
	{
		char texts[4][UNITS_TEXT_MAX], numbers[3][CTL_JSON_TEXT_MAX];
		const json_t *closed = json_object_get(worker, "connections_closed");
		fprintf(out, "%4d" WORKER_COLUMNS, (int)ctl_json_number(worker, "slot"),
		    ctl_json_format(worker, "pid", numbers[0]),
		    ctl_json_text(worker, "state"),
		    ctl_json_format(worker, "generation", numbers[1]),
		    ctl_json_format(worker, "restarts", numbers[2]),
		    units_show_count(
			ctl_json_number(worker, "connections_open"), texts[0]),
		    units_show_count(
			ctl_json_number(worker, "connections_accepted"), texts[1]),
		    units_show_count(
			ctl_json_number(worker, "messages_received"), texts[2]),
		    units_show_count(ctl_json_number(closed, "worker_lost"), texts[3]));
	}
}

char *
ctl_show_printable(ctl_show_function show, const json_t *reply)
{
	char *text = NULL;
	size_t length;
	FILE *out = xmalloc_check(open_memstream(&text, &length));
	show(out, reply);
	if (fclose(out) < 0)
		xmalloc_fail();
	ctl_json_make_printable(text);
	return text;
}
