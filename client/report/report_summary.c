#include "client/report/report_summary.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/units.h"

#include "client/result/reconcile.h"

struct line {
	char *out;
	size_t length;
	const char *before; /* what stands before the next part */
};

static void __attribute__((format(printf, 2, 3)))
add(struct line *line, const char *format, ...)
{
	size_t room = REPORT_SUMMARY_MAX - line->length;
	va_list arguments;
	int n = snprintf(line->out + line->length, room, "%s", line->before);

	line->length += (size_t)n < room ? (size_t)n : room - 1;
	room = REPORT_SUMMARY_MAX - line->length;
	va_start(arguments, format);
	n = vsnprintf(line->out + line->length, room, format, arguments);
	va_end(arguments);
	line->length += (size_t)n < room ? (size_t)n : room - 1;
	line->before = ", ";
}

/* "3 connections were lost", "1 connection was lost"; nothing for none. */
static void
add_count(struct line *line, uint64_t n, const char *what, const char *outcome)
{
	char number[UNITS_TEXT_MAX];

	if (n > 0)
		add(line, "%s %s%s %s %s", units_show_count(n, number), what,
		    n == 1 ? "" : "s", n == 1 ? "was" : "were", outcome);
}

/* "3 of 10 connections were not made"; nothing for none. */
static void
add_share(
    struct line *line, uint64_t n, uint64_t all, const char *what, const char *outcome)
{
	char number[UNITS_TEXT_MAX], whole[UNITS_TEXT_MAX];

	if (n > 0)
		add(line, "%s of %s %s %s %s", units_show_count(n, number),
		    units_show_count(all, whole), what, n == 1 ? "was" : "were",
		    outcome);
}

static uint64_t
unanswered(const struct result_messages *messages)
{
	uint64_t answered = messages->verified + messages->wrong;

	return messages->sent > answered ? messages->sent - answered : 0;
}

static void
add_missing(struct line *line, const struct result *result)
{
	const struct result_messages *m = &result->messages, *w = &result->warmup;
	const struct result_connections *c = &result->connections;
	uint64_t asked = result_whole(result_asked(result)), sent = m->sent + w->sent;
	char number[UNITS_TEXT_MAX];

	if (c->first < c->requested)
		add_share(line, c->requested - c->first, c->requested, "connections",
		    "not made");
	else if (result_failed(c) > 0)
		add(line, "%s connection attempt%s failed",
		    units_show_count(result_failed(c), number),
		    result_failed(c) == 1 ? "" : "s");
	add_count(line, c->lost, "connection", "lost");
	add_share(line, unanswered(m), m->sent, "messages", "not answered");
	add_share(
	    line, unanswered(w), w->sent, "messages of the warm-up", "not answered");
	if (result->messages_due > m->sent && !result->interrupted)
		add_share(line, result->messages_due - m->sent, result->messages_due,
		    "messages that were due", "not sent");
	else if (sent < asked)
		add_share(line, asked - sent, asked, "messages", "not sent");
	else if (m->sent == 0)
		add(line,
		    w->sent > 0 ? "no message was sent after the warm-up"
				: "no message was sent");
	if (!reconcile_is_consistent(result))
		add(line, "the ledgers differ");
	if (!result_adds_up(m))
		add(line, "the counts do not add up");
}

static void
add_wrong(struct line *line, const struct result *result)
{
	uint64_t wrong = result->messages.wrong + result->warmup.wrong;

	add(line, "wrong bytes came back");
	line->before = ": ";
	add_share(line, wrong, result->messages.sent + result->warmup.sent, "messages",
	    "answered wrongly");
	add_count(line, result->bytes_unexpected, "byte", "never asked for");
	line->before = "; ";
	add_missing(line, result);
}

static void
add_success(struct line *line, const struct result *result)
{
	uint64_t messages = result->messages.verified,
		 connections = result->connections.requested;
	char number[UNITS_TEXT_MAX], all[UNITS_TEXT_MAX];

	add(line, "ok: %s message%s on %s connection%s, %s",
	    units_show_count(messages, number), messages == 1 ? "" : "s",
	    units_show_count(connections, all), connections == 1 ? "" : "s",
	    strcmp(result->plan.expect, "none") == 0 ? "none looked at"
						     : "every byte verified");
}

const char *
report_summary(const struct result *result, char *out)
{
	struct line line = { .out = out, .before = "" };
	int status = result_exit_status(result);

	out[0] = '\0';
	if (status == 0) {
		add_success(&line, result);
		return out;
	}
	line.before = "FAILED: ";
	switch (status) {
	case 1:
		add_missing(&line, result);
		break;
	case 2:
		add_wrong(&line, result);
		break;
	case 3:
		add(&line, "not to be trusted (--strict)");
		break;
	default:
		add(&line, "a threshold does not hold");
	}
	return out;
}
