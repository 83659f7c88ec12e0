#include "client/result/reconcile.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json/json_load.h"
#include "lib/json/json_record.h"
#include "lib/printable.h"

#include "proto/framing.h"

#include "client/result/result.h"

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
reconcile_read_totals(
    const char *text, struct server_totals *ret, char *error, size_t error_size)
{
	struct server_totals out = { .connections_open = 0 };
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
	json_t *root = json_load_text(text, strlen(text), 0, &why);
	const json_t *totals = json_object_get(root, "totals");
	int rc = 0;

	if (root == NULL && errno == ENOMEM) {
		snprintf(error, error_size, "/stats: out of memory");
		return -1;
	}
	if (root == NULL) {
		snprintf(error, error_size, "/stats is no JSON: %s",
		    printable_sanitize(why.text));
		return -1;
	}
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]) && rc == 0; i++) {
		rc = read_count(totals, counts[i].key, counts[i].to);
		if (rc != 0)
			snprintf(error, error_size,
			    "/stats: totals.%s; a count was wanted", counts[i].key);
	}
	const json_t *closed = json_object_get(totals, "connections_closed");
	if (rc == 0 && read_count(closed, "worker_lost", &out.worker_lost) < 0) {
		snprintf(error, error_size,
		    "/stats: totals.connections_closed.worker_lost; a count was wanted");
		rc = -1;
	}
	const json_t *kernel = json_object_get(root, "kernel");
	if (rc == 0 && kernel != NULL &&
	    read_count(kernel, "retransmits", &out.retransmits) < 0) {
		snprintf(error, error_size,
		    "/stats: kernel.retransmits; a count was wanted");
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
struct reconciliation {
	uint64_t never_accepted, cut, others;
	uint64_t messages_not_read, unexplained_messages;
	uint64_t answers_not_arrived, unexplained_answers;
	uint64_t not_read, unexplained_received;
	uint64_t not_arrived, unexplained_sent;
	uint64_t dropped;
	bool is_consistent;
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
compare_messages(const struct result *result, const struct server_totals *server,
    struct reconciliation *ret)
{
	const struct result_messages *m = &result->messages, *w = &result->warmup;
	uint64_t lost = unanswered(result);
	uint64_t answered = m->verified + m->wrong + w->verified + w->wrong;

	enum framing framing;

	if (framing_parse(result->plan.framing, &framing) < 0 ||
	    !framings[framing].has_boundaries ||
	    strcmp(result->plan.expect, "none") == 0 ||
	    strcmp(result->plan.expect, "discard") == 0)
		return true;
	ret->messages_not_read = missing(
	    m->sent + w->sent, server->messages_received, &ret->unexplained_messages);
	ret->answers_not_arrived =
	    missing(server->replies_sent, answered, &ret->unexplained_answers);
	/* Read and answered, and not counted any more: what a killed worker did last.
	 */
	if (server->worker_lost > 0)
		ret->unexplained_answers = 0;
	return ret->unexplained_messages == 0 && ret->unexplained_answers == 0 &&
	    (ret->messages_not_read <= lost || server->worker_lost > 0) &&
	    ret->answers_not_arrived <= lost;
}

static void
compare_totals(const struct result *result, const struct server_totals *server,
    struct reconciliation *ret)
{
	uint64_t ours = result->connections.established, more;
	/* Some of these may have been accepted all the same. */
	uint64_t unfinished = result->connections.attempted - ours;
	uint64_t lost = unanswered(result) + result->connections.lost;
	bool ignores_answers = strcmp(result->plan.expect, "none") == 0;

	ret->never_accepted = missing(ours, server->connections_accepted, &more);
	ret->others = more > unfinished ? more - unfinished : 0;
	ret->not_read = missing(
	    result->bytes_sent, server->bytes_received, &ret->unexplained_received);
	ret->not_arrived =
	    missing(server->bytes_sent, result->bytes_received, &ret->unexplained_sent);
	ret->dropped = server->bytes_dropped;
	ret->cut = result->connections.lost < server->worker_lost
	    ? result->connections.lost
	    : server->worker_lost;
	bool messages_are_consistent = compare_messages(result, server, ret);
	bool explained = lost > 0 || ret->never_accepted > 0 || ignores_answers;
	ret->is_consistent = messages_are_consistent && ret->others == 0 &&
	    ret->unexplained_received == 0 && ret->unexplained_sent == 0 &&
	    (ret->not_read == 0 || explained) && (ret->not_arrived == 0 || explained) &&
	    (ret->never_accepted == 0 || lost > 0 || ignores_answers);
}

static json_t *
encode(const struct result *result, const struct server_totals *server,
    const struct reconciliation *reconciliation)
{
	return json_pack(
	    "{s:b, s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I}, s:{s:I, s:I, s:I, s:I}, s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}, s:{s:I, s:I, s:I}}",
	    "holds", reconciliation->is_consistent, "server", "connections_accepted",
	    N(server->connections_accepted), "messages_received",
	    N(server->messages_received), "replies_sent", N(server->replies_sent),
	    "bytes_received", N(server->bytes_received), "bytes_sent",
	    N(server->bytes_sent), "bytes_dropped", N(server->bytes_dropped),
	    "retransmits", N(server->retransmits), "client", "connections_established",
	    N(result->connections.established), "messages_sent",
	    N(result->messages.sent + result->warmup.sent), "bytes_sent",
	    N(result->bytes_sent), "bytes_received", N(result->bytes_received),
	    "placed", "connections_failed", N(result_failed(&result->connections)),
	    "connections_never_accepted", N(reconciliation->never_accepted),
	    "connections_cut", N(reconciliation->cut), "messages_not_read",
	    N(reconciliation->messages_not_read), "answers_not_arrived",
	    N(reconciliation->answers_not_arrived), "bytes_not_read",
	    N(reconciliation->not_read), "bytes_not_arrived",
	    N(reconciliation->not_arrived), "bytes_dropped", N(reconciliation->dropped),
	    "unplaced", "connections", N(reconciliation->others), "messages",
	    N(reconciliation->unexplained_messages +
		reconciliation->unexplained_answers),
	    "bytes",
	    N(reconciliation->unexplained_received + reconciliation->unexplained_sent));
}

/* Those that only grow. */
#define LEDGER_COUNTERS(X)                                                             \
	X(connections_accepted)                                                        \
	X(messages_received)                                                           \
	X(replies_sent)                                                                \
	X(bytes_received) X(bytes_sent) X(bytes_dropped) X(worker_lost) X(retransmits)

bool
reconcile_is_later(
    const struct server_totals *after, const struct server_totals *before)
{
#define X(name) &&after->name >= before->name
	return true LEDGER_COUNTERS(X);
#undef X
}

/* What was counted from `before` to `after`. */
static struct server_totals
between(const struct server_totals *before, const struct server_totals *after)
{
#define X(name) .name = after->name - before->name,
	return (struct server_totals){ LEDGER_COUNTERS(X) };
#undef X
}

static void
add(struct server_totals *to, const struct server_totals *from)
{
#define X(name) to->name += from->name;
	LEDGER_COUNTERS(X)
#undef X
}

/* `each` is an array that says what each server had, taken over; NULL: it is one. */
static int
reconcile(struct result *result, const struct server_totals *server, json_t *each)
{
	struct reconciliation reconciliation = { .is_consistent = false };
	int status = 0;

	compare_totals(result, server, &reconciliation);
	json_t *json = encode(result, server, &reconciliation);
	if (each != NULL)
		status = json_object_set_new(json, "servers", each);
	char *text =
	    json == NULL || status != 0 ? NULL : json_dumps(json, JSON_COMPACT);
	json_decref(json);
	if (text == NULL)
		return -1;
	free(result->ledger);
	result->ledger = text;
	return 0;
}

int
reconcile_result(struct result *result, const struct server_totals *before,
    const struct server_totals *after)
{
	struct server_totals server = between(before, after);

	return reconcile(result, &server, NULL);
}

int
reconcile_result_all(
    struct result *result, const struct reconcile_server *servers, size_t count)
{
	struct server_totals sum = { .connections_open = 0 };
	json_t *each = count > 1 ? json_array() : NULL;
	int status = count > 1 && each == NULL ? -1 : 0;

	if (count == 0)
		return 0;
	for (size_t i = 0; i < count; i++) {
		struct server_totals own =
		    between(&servers[i].before, &servers[i].after);

		add(&sum, &own);
		if (each != NULL)
			status |= json_array_append_new(each,
			    json_pack("{s:o, s:I, s:I, s:I}", "where",
				json_record_text(servers[i].where),
				"connections_accepted", N(own.connections_accepted),
				"bytes_received", N(own.bytes_received), "bytes_sent",
				N(own.bytes_sent)));
	}
	if (status == 0)
		return reconcile(result, &sum, each);
	json_decref(each);
	return -1;
}

static json_t *
read_own(const struct result *result)
{
	return json_load_text(result->ledger, strlen(result->ledger), 0, NULL);
}

/* What cannot be read for want of memory is no proof. */
bool
reconcile_is_consistent(const struct result *result)
{
	if (result->ledger == NULL)
		return true;
	json_t *json = read_own(result);
	bool is_consistent =
	    json != NULL && !json_is_false(json_object_get(json, "holds"));
	json_decref(json);
	return is_consistent;
}
