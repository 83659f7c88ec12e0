#include "client/result_ledger.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json_whole.h"
#include "lib/printable.h"
#include "lib/units.h"

#include "proto/framing.h"

#include "client/result.h"

#define N(value) ((json_int_t)(value))

static int
read_count(const json_t *totals, const char *key, uint64_t *ret)
{
	const json_t *value = json_object_get(totals, key);

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return -1;
	*ret = (uint64_t)json_integer_value(value);
	return 0;
}

int
result_ledger_read(
    const char *text, struct result_ledger *ret, char *error, size_t error_size)
{
	struct result_ledger out = { .connections_open = 0 };
	const struct {
		const char *key;
		uint64_t *to;
	} counts[] = {
		{ "connections_accepted", &out.connections_accepted },
		{ "connections_open", &out.connections_open },
		{ "messages_received", &out.messages_received },
		{ "replies_sent", &out.replies_sent },
		{ "bytes_received", &out.bytes_received },
		{ "bytes_sent", &out.bytes_sent },
		{ "bytes_dropped", &out.bytes_dropped },
	};
	json_error_t why;
	json_t *root = json_whole_load(text, strlen(text), 0, &why);
	const json_t *totals = json_object_get(root, "totals");
	int rc = 0;

	if (root == NULL && errno == ENOMEM) {
		snprintf(error, error_size, "/stats: out of memory");
		return -1;
	}
	if (root == NULL) {
		snprintf(error, error_size, "/stats is no JSON: %s",
		    printable_make(why.text));
		return -1;
	}
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]) && rc == 0; i++) {
		rc = read_count(totals, counts[i].key, counts[i].to);
		if (rc != 0)
			snprintf(error, error_size,
			    "/stats: totals.%s; a count was wanted", counts[i].key);
	}
	const json_t *closed = json_object_get(totals, "connections_closed");
	if (rc == 0 && read_count(closed, "worker_lost", &out.worker_lost) != 0) {
		snprintf(error, error_size,
		    "/stats: totals.connections_closed.worker_lost; a count was "
		    "wanted");
		rc = -1;
	}
	json_decref(root);
	if (rc == 0)
		*ret = out;
	return rc;
}

/* a - b, and the other way round in *ret_more: one of them is 0. */
static uint64_t
missing(uint64_t a, uint64_t b, uint64_t *ret_more)
{
	*ret_more = b > a ? b - a : 0;
	return a > b ? a - b : 0;
}

/* What a run's two ledgers say of each other. */
struct placed {
	uint64_t never_accepted, cut, others;
	uint64_t messages_not_read, strange_messages;
	uint64_t answers_not_arrived, strange_answers;
	uint64_t not_read, strange_received;
	uint64_t not_arrived, strange_sent;
	uint64_t dropped;
	bool holds;
};

/* Messages that nobody has answered, those of the warm-up with them. */
static uint64_t
unanswered(const struct result *result)
{
	const struct result_messages *m = &result->messages, *w = &result->warmup;

	return result_lost(m) + result_lost(w) + m->in_flight + w->in_flight;
}

/* Messages that both sides see alike: none in a stream. */
static bool
place_messages(
    const struct result *result, const struct result_ledger *server, struct placed *ret)
{
	const struct result_messages *m = &result->messages, *w = &result->warmup;
	uint64_t lost = unanswered(result);
	uint64_t answered = m->verified + m->wrong + w->verified + w->wrong;

	if (strcmp(result->plan.framing, framing_names[FRAMING_STREAM]) == 0 ||
	    strcmp(result->plan.expect, "none") == 0 ||
	    strcmp(result->plan.expect, "discard") == 0)
		return true;
	ret->messages_not_read = missing(
	    m->sent + w->sent, server->messages_received, &ret->strange_messages);
	ret->answers_not_arrived =
	    missing(server->replies_sent, answered, &ret->strange_answers);
	/* Read and answered, and not counted any more: what a killed worker did last.
	 */
	if (server->worker_lost > 0)
		ret->strange_answers = 0;
	return ret->strange_messages == 0 && ret->strange_answers == 0 &&
	    (ret->messages_not_read <= lost || server->worker_lost > 0) &&
	    ret->answers_not_arrived <= lost;
}

static void
place(
    const struct result *result, const struct result_ledger *server, struct placed *ret)
{
	uint64_t ours = result->connections.established, more;
	/* Some of these may have been accepted all the same. */
	uint64_t begun = result->connections.attempted - ours;
	uint64_t lost = unanswered(result) + result->connections.lost;
	bool unheard = strcmp(result->plan.expect, "none") == 0;

	ret->never_accepted = missing(ours, server->connections_accepted, &more);
	ret->others = more > begun ? more - begun : 0;
	ret->not_read =
	    missing(result->bytes_sent, server->bytes_received, &ret->strange_received);
	ret->not_arrived =
	    missing(server->bytes_sent, result->bytes_received, &ret->strange_sent);
	ret->dropped = server->bytes_dropped;
	ret->cut = result->connections.lost < server->worker_lost
	    ? result->connections.lost
	    : server->worker_lost;
	bool messages_hold = place_messages(result, server, ret);
	bool explained = lost > 0 || ret->never_accepted > 0 || unheard;
	ret->holds = messages_hold && ret->others == 0 && ret->strange_received == 0 &&
	    ret->strange_sent == 0 && (ret->not_read == 0 || explained) &&
	    (ret->not_arrived == 0 || explained) &&
	    (ret->never_accepted == 0 || lost > 0 || unheard);
}

static json_t *
encode(const struct result *result, const struct result_ledger *server,
    const struct placed *placed)
{
	return json_pack(
	    "{s:b, s:{s:I, s:I, s:I, s:I, s:I, s:I}, s:{s:I, s:I, s:I, s:I},"
	    " s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}, s:{s:I, s:I, s:I}}",
	    "holds", placed->holds, "server", "connections_accepted",
	    N(server->connections_accepted), "messages_received",
	    N(server->messages_received), "replies_sent", N(server->replies_sent),
	    "bytes_received", N(server->bytes_received), "bytes_sent",
	    N(server->bytes_sent), "bytes_dropped", N(server->bytes_dropped), "client",
	    "connections_established", N(result->connections.established),
	    "messages_sent", N(result->messages.sent + result->warmup.sent),
	    "bytes_sent", N(result->bytes_sent), "bytes_received",
	    N(result->bytes_received), "placed", "connections_failed",
	    N(result_failed(&result->connections)), "connections_never_accepted",
	    N(placed->never_accepted), "connections_cut", N(placed->cut),
	    "messages_not_read", N(placed->messages_not_read), "answers_not_arrived",
	    N(placed->answers_not_arrived), "bytes_not_read", N(placed->not_read),
	    "bytes_not_arrived", N(placed->not_arrived), "bytes_dropped",
	    N(placed->dropped), "unplaced", "connections", N(placed->others),
	    "messages", N(placed->strange_messages + placed->strange_answers), "bytes",
	    N(placed->strange_received + placed->strange_sent));
}

bool
result_ledger_follows(
    const struct result_ledger *after, const struct result_ledger *before)
{
	return after->connections_accepted >= before->connections_accepted &&
	    after->messages_received >= before->messages_received &&
	    after->replies_sent >= before->replies_sent &&
	    after->bytes_received >= before->bytes_received &&
	    after->bytes_sent >= before->bytes_sent &&
	    after->bytes_dropped >= before->bytes_dropped &&
	    after->worker_lost >= before->worker_lost;
}

int
result_ledger_reconcile(struct result *result, const struct result_ledger *before,
    const struct result_ledger *after)
{
	struct result_ledger server = {
		.connections_accepted =
		    after->connections_accepted - before->connections_accepted,
		.messages_received =
		    after->messages_received - before->messages_received,
		.replies_sent = after->replies_sent - before->replies_sent,
		.bytes_received = after->bytes_received - before->bytes_received,
		.bytes_sent = after->bytes_sent - before->bytes_sent,
		.bytes_dropped = after->bytes_dropped - before->bytes_dropped,
		.worker_lost = after->worker_lost - before->worker_lost,
	};
	struct placed placed = { .holds = false };

	place(result, &server, &placed);
	json_t *json = encode(result, &server, &placed);
	char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
	json_decref(json);
	if (text == NULL)
		return -1;
	free(result->ledger);
	result->ledger = text;
	return 0;
}

static json_t *
read_own(const struct result *result)
{
	return json_whole_load(result->ledger, strlen(result->ledger), 0, NULL);
}

/* What cannot be read for want of memory is no proof. */
bool
result_ledger_holds(const struct result *result)
{
	if (result->ledger == NULL)
		return true;
	json_t *json = read_own(result);
	bool holds = json != NULL && !json_is_false(json_object_get(json, "holds"));
	json_decref(json);
	return holds;
}

static uint64_t
number_of(const json_t *json, const char *group, const char *key)
{
	return (uint64_t)json_integer_value(
	    json_object_get(json_object_get(json, group), key));
}

/* "5 of 6 connections"; the server may have accepted what was called off here. */
static void
describe_connections(const json_t *json, char *out, size_t size)
{
	uint64_t theirs = number_of(json, "server", "connections_accepted");
	uint64_t ours = number_of(json, "client", "connections_established");
	uint64_t strange = number_of(json, "unplaced", "connections");
	char all[UNITS_TEXT_MAX], own[UNITS_TEXT_MAX], off[UNITS_TEXT_MAX];

	units_show_count(theirs, all);
	units_show_count(ours, own);
	if (theirs <= ours || strange > 0)
		snprintf(out, size, "%s of %s connections", all, own);
	else
		snprintf(out, size, "%s connections, %s and %s that were called off",
		    all, own, units_show_count(theirs - ours, off));
}

/* ", 64 bytes (2 messages) never reached it"; nothing for none. */
static void
add_part(FILE *line, bool *any, uint64_t bytes, uint64_t messages, const char *what)
{
	char number[UNITS_TEXT_MAX], each[UNITS_TEXT_MAX];

	if (bytes == 0)
		return;
	fprintf(line, "%s%s byte%s ", *any ? ", " : "", units_show_count(bytes, number),
	    bytes == 1 ? "" : "s");
	if (messages > 0)
		fprintf(line, "(%s message%s) ", units_show_count(messages, each),
		    messages == 1 ? "" : "s");
	fputs(what, line);
	*any = true;
}

static uint64_t
more(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* Which way it got lost, or came from nowhere, and whether this side's counts account
 * for it. */
static void
describe_difference(const json_t *json, bool holds, FILE *line)
{
	uint64_t sent = number_of(json, "client", "bytes_sent");
	uint64_t came = number_of(json, "client", "bytes_received");
	uint64_t read = number_of(json, "server", "bytes_received");
	uint64_t answered = number_of(json, "server", "bytes_sent");
	uint64_t never = number_of(json, "placed", "connections_never_accepted");
	char number[UNITS_TEXT_MAX];
	bool any = never > 0;

	if (never > 0)
		fprintf(line, "%s connection%s never reached it",
		    units_show_count(never, number), never == 1 ? "" : "s");
	add_part(line, &any, more(sent, read),
	    number_of(json, "placed", "messages_not_read"), "never reached it");
	add_part(line, &any, more(answered, came),
	    number_of(json, "placed", "answers_not_arrived"),
	    "of its answers never came");
	add_part(line, &any, more(read, sent), 0, "reached it without being sent here");
	add_part(line, &any, more(came, answered), 0, "came without being sent by it");
	if (holds)
		fputs(
		    any ? "; the losses account for that" : "the ledgers agree", line);
	else
		fprintf(line, "%sa difference CANNOT BE PLACED", any ? ": " : "");
	if (!holds && came > answered && never > 0)
		fputs(" (is it one of several servers?)", line);
}

void
result_ledger_describe(const struct result *result, char *out, size_t size)
{
	json_t *json = result->ledger == NULL ? NULL : read_own(result);
	FILE *line = json == NULL ? NULL : fmemopen(out, size, "w");
	char connections[4 * UNITS_TEXT_MAX], read[UNITS_TEXT_MAX],
	    sent[UNITS_TEXT_MAX], came[UNITS_TEXT_MAX], answered[UNITS_TEXT_MAX];

	out[0] = '\0';
	if (line == NULL) {
		json_decref(json);
		return;
	}
	describe_connections(json, connections, sizeof(connections));
	fprintf(line,
	    "server accepted %s, read %s of %s bytes; %s of its %s came: ", connections,
	    units_show_count(number_of(json, "server", "bytes_received"), read),
	    units_show_count(number_of(json, "client", "bytes_sent"), sent),
	    units_show_count(number_of(json, "client", "bytes_received"), came),
	    units_show_count(number_of(json, "server", "bytes_sent"), answered));
	describe_difference(json, result_ledger_holds(result), line);
	fclose(line);
	json_decref(json);
}
