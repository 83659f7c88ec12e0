#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "lib/json/json_load.h"
#include "lib/printable.h"
#include "lib/units.h"

#include "client/result/reconcile.h"
#include "client/result/result.h"

static json_t *
read_own(const struct result *result)
{
	return json_load_text(result->ledger, strlen(result->ledger), 0, NULL);
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
	uint64_t server_count = number_of(json, "server", "connections_accepted");
	uint64_t client_count = number_of(json, "client", "connections_established");
	uint64_t unexplained = number_of(json, "unplaced", "connections");
	char all[UNITS_TEXT_MAX], own[UNITS_TEXT_MAX], off[UNITS_TEXT_MAX];

	units_show_count(server_count, all);
	units_show_count(client_count, own);
	if (server_count <= client_count || unexplained > 0)
		snprintf(out, size, "%s of %s connections", all, own);
	else
		snprintf(out, size, "%s connections, %s and %s that were called off",
		    all, own, units_show_count(server_count - client_count, off));
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
describe_difference(const json_t *json, bool is_consistent, FILE *line)
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
	if (is_consistent)
		fputs(
		    any ? "; the losses account for that" : "the ledgers agree", line);
	else
		fprintf(line, "%sa difference CANNOT BE PLACED", any ? ": " : "");
	if (!is_consistent && came > answered && never > 0)
		fputs(" (is it one of several servers? each has its --ledger)", line);
}

void
report_reconciliation(const struct result *result, char *out, size_t size)
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
	bool several = json_object_get(json, "servers") != NULL;
	fprintf(line, "server%s accepted %s, read %s of %s bytes; %s of %s %s came: ",
	    several ? "s" : "", connections,
	    units_show_count(number_of(json, "server", "bytes_received"), read),
	    units_show_count(number_of(json, "client", "bytes_sent"), sent),
	    units_show_count(number_of(json, "client", "bytes_received"), came),
	    several ? "their" : "its",
	    units_show_count(number_of(json, "server", "bytes_sent"), answered));
	describe_difference(json, reconcile_is_consistent(result), line);
	uint64_t again = number_of(json, "server", "retransmits");
	if (again > 0)
		fprintf(line, "; %s sent %s segment%s again",
		    several ? "their hosts" : "its host", units_show_count(again, sent),
		    again == 1 ? "" : "s");
	fclose(line);
	json_decref(json);
}

bool
report_reconciliation_server(
    const struct result *result, size_t index, char *out, size_t size)
{
	json_t *json = result->ledger == NULL ? NULL : read_own(result);
	const json_t *server = json_array_get(json_object_get(json, "servers"), index);
	const char *where = json_string_value(json_object_get(server, "where"));
	char connections[UNITS_TEXT_MAX], read[UNITS_TEXT_MAX];

	out[0] = '\0';
	if (server != NULL)
		snprintf(out, size, "%.128s: %s connections, %s bytes read",
		    where == NULL ? "?" : where,
		    units_show_count((uint64_t)json_integer_value(json_object_get(
					 server, "connections_accepted")),
			connections),
		    units_show_count((uint64_t)json_integer_value(
					 json_object_get(server, "bytes_received")),
			read));
	json_decref(json);
	printable_sanitize(out);
	return server != NULL;
}
