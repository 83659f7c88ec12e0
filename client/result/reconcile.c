#include "client/result/reconcile.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "lib/json/json_load.h"
#include "lib/printable.h"
#include "lib/xmalloc.h"
#include "proto/framing.h"
#include "proto/reply.h"
#include "client/result/result.h"

#define COUNT_MAX INT64_C(1000000000000000000) /* sums of a few fit into a result */

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
	uint64_t lost = unanswered(result), more_read, more_arrived;
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
	uint64_t lost = unanswered(result) + result->connections.lost;
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

/* The counters that never decrease. */
#define COUNTERS(X)                                                                    \
	X(connections_accepted)                                                        \
	X(messages_received)                                                           \
	X(replies_sent)                                                                \
	X(bytes_received) X(bytes_sent) X(bytes_dropped) X(worker_lost) X(retransmits)

bool
reconcile_is_later(
    const struct server_totals *after, const struct server_totals *before)
{
#define X(name) &&after->name >= before->name
	return true COUNTERS(X);
#undef X
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
	if (count > 1)
		ledger->servers = xcalloc(count, sizeof(ledger->servers[0]));
	for (size_t i = 0; i < count; i++) {
		const struct server_totals *before = &servers[i].before;
		const struct server_totals *after = &servers[i].after;
#define X(name) ledger->server.name += after->name - before->name;
		COUNTERS(X)
#undef X
		if (count > 1)
			ledger->servers[ledger->server_count++] =
			    (struct reconciled_server){
				    .where = xstrdup(servers[i].where),
				    .connections_accepted =
					after->connections_accepted -
					before->connections_accepted,
				    .bytes_received =
					after->bytes_received - before->bytes_received,
				    .bytes_sent =
					after->bytes_sent - before->bytes_sent,
			    };
	}
	compare_totals(result, ledger);
	result->has_ledger = true;
}

bool
reconcile_is_consistent(const struct result *result)
{
	return !result->has_ledger || result->ledger.consistent;
}
