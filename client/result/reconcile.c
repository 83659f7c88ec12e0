#include "client/result/reconcile.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/json/json_load.h"
#include "lib/printable.h"
#include "lib/units.h"
#include "lib/xmalloc.h"
#include "proto/framing.h"
#include "proto/reply.h"
#include "client/measure/findings.h"
#include "client/result/result.h"

#define CLOCK_SLACK_NS (100 * NS_PER_MS)       /* of a server's uptime, and 0.1 % */
#define COUNT_MAX INT64_C(1000000000000000000) /* sums of a few fit into a result */

static const char *const states[] = {
	[RECONCILE_READ] = "reconciled",
	[RECONCILE_RESTARTED] = "restarted",
	[RECONCILE_GONE] = "gone",
};

int
reconcile_read_totals(
    const char *text, struct server_totals *ret, char *error, size_t error_size)
{
	json_error_t why;
	json_t *root = json_load_text(text, strlen(text), 0, &why);
	const json_t *totals = json_object_get(root, "totals");
	const json_t *closed = json_object_get(totals, "connections_closed");
	const json_t *kernel = json_object_get(root, "kernel");
	struct server_totals out = { 0 };
	const struct {
		const json_t *from;
		const char *path, *key;
		uint64_t *to;
	} counts[] = {
		{ totals, "totals", "connections_accepted", &out.connections_accepted },
		{ totals, "totals", "connections_open", &out.connections_open },
		{ totals, "totals", "messages_received", &out.messages_received },
		{ totals, "totals", "replies_sent", &out.replies_sent },
		{ totals, "totals", "bytes_received", &out.bytes_received },
		{ totals, "totals", "bytes_sent", &out.bytes_sent },
		{ totals, "totals", "bytes_dropped", &out.bytes_dropped },
		{ closed, "totals.connections_closed", "worker_lost",
		    &out.worker_lost },
		{ kernel, "kernel", "retransmits", &out.retransmits },
	};
	size_t i, count = sizeof(counts) / sizeof(counts[0]) - (kernel == NULL);
	double uptime_s = json_number_value(json_object_get(root, "uptime_s"));
	json_int_t generation = json_integer_value(json_object_get(root, "generation"));
	const char *kind;
	json_t *injected;
	json_object_foreach(json_object_get(totals, "faults_injected"), kind, injected)
	{
		json_int_t number = json_integer_value(injected);
		out.faults_injected +=
		    number > 0 && number <= COUNT_MAX ? (uint64_t)number : 0;
	}
	const char *instance = json_string_value(json_object_get(root, "instance"));
	if (instance != NULL)
		snprintf(out.instance, sizeof(out.instance), "%.64s", instance);
	out.uptime_ns = result_whole(uptime_s * 1e9);
	out.generation = generation > 0 ? (uint64_t)generation : 0;
	if (root == NULL && errno == ENOMEM)
		xmalloc_fail();
	for (i = 0; root != NULL && i < count; i++) {
		const json_t *value = json_object_get(counts[i].from, counts[i].key);
		if (!json_is_integer(value) || json_integer_value(value) < 0 ||
		    json_integer_value(value) > COUNT_MAX)
			break;
		*counts[i].to = (uint64_t)json_integer_value(value);
	}
	if (root == NULL)
		snprintf(error, error_size, "/stats: not JSON: %s",
		    printable_sanitize(why.text));
	else if (i < count)
		snprintf(error, error_size, "/stats: %s.%s: expected a count",
		    counts[i].path, counts[i].key);
	else
		*ret = out;
	json_decref(root);
	return root != NULL && i == count ? 0 : -1;
}

/* a - b, and b - a in *ret_more; the negative one is 0. */
static uint64_t
missing(uint64_t a, uint64_t b, uint64_t *ret_more)
{
	*ret_more = b > a ? b - a : 0;
	return a > b ? a - b : 0;
}

static uint64_t
unanswered(const struct result *result)
{
	const struct result_messages *m = &result->messages, *w = &result->warmup;
	return result_lost(m) + result_lost(w) + m->in_flight + w->in_flight;
}

/* Compares the messages, which both sides count alike unless the framing is stream.
 * Returns whether every difference is explained. */
static bool
compare_messages(const struct result *result, struct reconciliation *ret)
{
	const struct server_totals *server = &ret->server;
	const struct result_messages *m = &result->messages, *w = &result->warmup;
	/* A fault may have left out an answer, or ended a connection. */
	uint64_t injected = ret->server.faults_injected;
	uint64_t lost = unanswered(result) + injected, more_read, more_arrived;
	uint64_t answered = m->verified + m->wrong + w->verified + w->wrong;
	enum framing framing;
	if (framing_parse(result->plan.framing, &framing) < 0 ||
	    !framings[framing].has_boundaries ||
	    strcmp(result->plan.expect, "none") == 0 ||
	    strcmp(result->plan.expect, reply_kinds[REPLY_DISCARD].name) == 0)
		return true;
	ret->explained.messages_not_read =
	    missing(ret->client.messages_sent, server->messages_received, &more_read);
	ret->explained.answers_not_arrived =
	    missing(server->replies_sent, answered, &more_arrived);
	/* A killed worker may have answered without counting it. */
	if (server->worker_lost > 0)
		more_arrived = 0;
	more_arrived -= more_arrived < injected ? more_arrived : injected;
	ret->unexplained.messages = more_read + more_arrived;
	return ret->unexplained.messages == 0 &&
	    (ret->explained.messages_not_read <= lost || server->worker_lost > 0) &&
	    ret->explained.answers_not_arrived <= lost;
}

static void
compare_totals(const struct result *result, struct reconciliation *ret)
{
	const struct server_totals *server = &ret->server;
	uint64_t established = ret->client.connections_established;
	/* The server may have accepted some of these. */
	uint64_t unfinished = result->connections.attempted - established;
	uint64_t lost =
	    unanswered(result) + result->connections.lost + server->faults_injected;
	uint64_t more, more_received, more_sent;
	bool ignores_answers = strcmp(result->plan.expect, "none") == 0;
	ret->explained.connections_failed = result_failed(result->connections.failed);
	ret->explained.connections_never_accepted =
	    missing(established, server->connections_accepted, &more);
	ret->explained.connections_cut = result->connections.lost < server->worker_lost
	    ? result->connections.lost
	    : server->worker_lost;
	ret->explained.bytes_not_read =
	    missing(result->bytes_sent, server->bytes_received, &more_received);
	ret->explained.bytes_not_arrived =
	    missing(server->bytes_sent, result->bytes_received, &more_sent);
	ret->explained.bytes_dropped = server->bytes_dropped;
	ret->unexplained.connections = more > unfinished ? more - unfinished : 0;
	ret->unexplained.bytes = more_received + more_sent;
	bool never_accepted = ret->explained.connections_never_accepted > 0;
	bool bytes_missing =
	    ret->explained.bytes_not_read > 0 || ret->explained.bytes_not_arrived > 0;
	ret->consistent = compare_messages(result, ret) &&
	    ret->unexplained.connections == 0 && more_received == 0 && more_sent == 0 &&
	    (!bytes_missing || lost > 0 || never_accepted || ignores_answers) &&
	    (!never_accepted || lost > 0 || ignores_answers);
}

size_t
reconcile_missing(const struct reconciliation *ledger)
{
	size_t missing = 0;
	for (size_t i = 0; i < ledger->server_count; i++)
		missing += ledger->servers[i].at[0] != '\0';
	return missing;
}

/* Some servers were not read: the others' counters are a lower bound. */
static void
compare_partial(const struct result *result, struct reconciliation *ret)
{
	const struct server_totals *server = &ret->server;
	bool ignores_answers = strcmp(result->plan.expect, "none") == 0 ||
	    strcmp(result->plan.expect, reply_kinds[REPLY_DISCARD].name) == 0;
	uint64_t more_connections, more_messages = 0, more_bytes;
	uint64_t unread = ret->client.messages_sent;
	enum framing framing;
	missing(result->connections.attempted, server->connections_accepted,
	    &more_connections);
	missing(result->bytes_sent, server->bytes_received, &more_bytes);
	if (framing_parse(result->plan.framing, &framing) == 0 &&
	    framings[framing].has_boundaries)
		unread = missing(ret->client.messages_sent, server->messages_received,
		    &more_messages);
	/* A message that was answered has arrived. */
	uint64_t lost = ignores_answers ? unread : unanswered(result);
	ret->unaccounted_messages = lost < unread ? lost : unread;
	ret->explained.connections_failed = result_failed(result->connections.failed);
	ret->explained.bytes_dropped = server->bytes_dropped;
	ret->unexplained.connections = more_connections;
	ret->unexplained.messages = more_messages;
	ret->unexplained.bytes = more_bytes;
	ret->consistent = more_connections + more_messages + more_bytes == 0;
}

/* The counters that never decrease. */
#define COUNTERS(X)                                                                    \
	X(connections_accepted)                                                        \
	X(messages_received)                                                           \
	X(replies_sent)                                                                \
	X(bytes_received)                                                              \
	X(bytes_sent) X(bytes_dropped) X(worker_lost) X(retransmits) X(faults_injected)

bool
reconcile_is_later(
    const struct server_totals *after, const struct server_totals *before)
{
#define X(name) &&after->name >= before->name
	bool grew = true COUNTERS(X);
#undef X
	uint64_t passed_ns = after->asked_ns > before->answered_ns
	    ? after->asked_ns - before->answered_ns
	    : 0;
	bool is_new = before->uptime_ns > 0 && after->uptime_ns > 0 &&
	    after->generation <= before->generation &&
	    after->uptime_ns + CLOCK_SLACK_NS + passed_ns / 1000 <
		before->uptime_ns + passed_ns;
	return grew && !is_new;
}

/* Adds what a server counted during the run; of one that restarted, since then. */
static void
add_server(struct server_totals *to, const struct reconcile_server *server)
{
	const struct server_totals zero = { 0 }, *after = &server->after,
				   *before = server->state == RECONCILE_READ
	    ? &server->before
	    : &zero;
	if (server->state == RECONCILE_GONE)
		return;
#define X(name) to->name += after->name - before->name;
	COUNTERS(X)
#undef X
}

static struct reconciled_server
describe(const struct reconcile_server *server)
{
	struct server_totals own = { 0 };
	char at[UNITS_TEXT_MAX] = "";
	add_server(&own, server);
	if (server->state != RECONCILE_READ)
		units_format_time(server->at_ns, 3, at);
	return (struct reconciled_server){
		.where = xstrdup(server->where),
		.instance = xstrdup(server->before.instance),
		.state = xstrdup(states[server->state]),
		.at = xstrdup(at),
		.error = xstrdup(server->error),
		.connections_accepted = own.connections_accepted,
		.messages_received = own.messages_received,
		.replies_sent = own.replies_sent,
		.bytes_received = own.bytes_received,
		.bytes_sent = own.bytes_sent,
	};
}

static struct unexplained_finding
name_finding(const struct finding *finding)
{
	static const char *const kinds[] = { [FINDING_DAMAGE] = "damage",
		[FINDING_TIMEOUT] = "timeout",
		[FINDING_CLOSED] = "closed",
		[FINDING_RESET] = "reset",
		[FINDING_CONNECT_TIMEOUT] = "connect timeout",
		[FINDING_CONNECT_RESET] = "connect reset" };
	char time[UNITS_TEXT_MAX], local[ADDRESS_TEXT_MAX] = "";
	if (finding->local.family != 0)
		address_format_compact(&finding->local, local);
	return (struct unexplained_finding){
		.time = xstrdup(units_format_time(finding->at_ns, 6, time)),
		.connection = xstrdup(local),
		.kind = xstrdup(kinds[finding->kind]),
		.message = finding->message + 1,
		.offset = finding->offset,
	};
}

/* All servers' faults explain the findings together. */
static void
explain(struct result *result, const struct reconcile_server *servers, size_t count)
{
	struct reconciliation *ledger = &result->ledger;
	struct explain_list all = { .faults = NULL };
	enum framing framing;
	for (size_t i = 0; i < count; i++) {
		explain_list_add(&all, &servers[i].faults);
		all.is_incomplete =
		    all.is_incomplete || servers[i].state != RECONCILE_READ;
	}
	ledger->has_faults = all.count > 0 || all.missing > 0;
	if (ledger->has_faults) {
		struct explain_named named;
		const struct explain_args args = {
			.findings = result->findings,
			.finding_count = result->finding_count,
			.findings_missed = result->findings_missed,
			.clients = result->clients,
			.ranks = (uint32_t)result->plan.ranks,
			.has_boundaries =
			    framing_parse(result->plan.framing, &framing) == 0 &&
			    framings[framing].has_boundaries,
		};
		explain_findings(&args, &all, &ledger->faults, &named);
		ledger->unexplained_findings =
		    xcalloc(named.count + 1, sizeof(ledger->unexplained_findings[0]));
		for (size_t i = 0; i < named.count; i++)
			ledger->unexplained_findings[i] = name_finding(named.list[i]);
		ledger->unexplained_finding_count = named.count;
	}
	free(all.faults);
}

void
reconcile_servers(
    struct result *result, const struct reconcile_server *servers, size_t count)
{
	struct reconciliation *ledger = &result->ledger;
	ledger->client.connections_established = result->connections.established;
	ledger->client.messages_sent = result->messages.sent + result->warmup.sent;
	ledger->client.bytes_sent = result->bytes_sent;
	ledger->client.bytes_received = result->bytes_received;
	ledger->servers = xcalloc(count, sizeof(ledger->servers[0]));
	for (size_t i = 0; i < count; i++) {
		add_server(&ledger->server, &servers[i]);
		if (count > 1 || servers[i].state != RECONCILE_READ)
			ledger->servers[ledger->server_count++] = describe(&servers[i]);
	}
	explain(result, servers, count);
	if (reconcile_missing(ledger) > 0)
		compare_partial(result, ledger);
	else
		compare_totals(result, ledger);
	result->has_ledger = true;
}

bool
reconcile_is_consistent(const struct result *result)
{
	return !result->has_ledger || result->ledger.consistent;
}
