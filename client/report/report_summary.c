#include "client/report/report_summary.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/printable.h"
#include "lib/units.h"
#include "client/report/report_line.h"
#include "client/result/reconcile.h"
#include "client/result/verdict.h"

/* "3 of 10 connections were not established"; nothing for 0. */
static void
add_share(struct report_line *line, uint64_t n, uint64_t all, const char *what,
    const char *outcome)
{
	char number[UNITS_TEXT_MAX], whole[UNITS_TEXT_MAX];
	if (n > 0)
		report_line_add(line, "%s of %s %s %s %s", units_show_count(n, number),
		    units_show_count(all, whole), what, n == 1 ? "was" : "were",
		    outcome);
}

static uint64_t
excess(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint64_t
unanswered(const struct result_messages *messages)
{
	return excess(messages->sent, messages->verified + messages->wrong);
}

static void
add_connections(struct report_line *line, const struct result_connections *c)
{
	uint64_t failed = result_failed(c->failed);
	char number[UNITS_TEXT_MAX];
	if (c->first < c->requested)
		add_share(line, c->requested - c->first, c->requested, "connections",
		    "not established");
	else if (failed > 0)
		report_line_add(line, "%s connection attempt%s failed",
		    units_show_count(failed, number), report_line_plural(failed));
	if (c->lost > 0)
		report_line_add(line, "%s connection%s %s lost",
		    units_show_count(c->lost, number), report_line_plural(c->lost),
		    c->lost == 1 ? "was" : "were");
}

static void
add_missing(struct report_line *line, const struct result *result)
{
	const struct result_messages *m = &result->messages, *w = &result->warmup;
	uint64_t asked = result_whole(result_asked(result)), sent = m->sent + w->sent;
	add_connections(line, &result->connections);
	add_share(line, unanswered(m), m->sent, "messages", "not answered");
	add_share(line, unanswered(w), w->sent, "warm-up messages", "not answered");
	if (result->messages_due > m->sent)
		add_share(line, result->messages_due - m->sent, result->messages_due,
		    "scheduled messages", "not sent");
	else if (sent < asked)
		add_share(line, asked - sent, asked, "messages", "not sent");
	else if (m->sent == 0)
		report_line_add(line, "no message was sent%s",
		    w->sent > 0 ? " after the warm-up" : "");
	if (!reconcile_is_consistent(result))
		report_line_add(line, "the counters of client and server disagree");
	if (!result_adds_up(m))
		report_line_add(line, "the message counters do not add up");
}

static void
add_wrong(struct report_line *line, const struct result *result)
{
	uint64_t wrong = result->messages.wrong + result->warmup.wrong;
	uint64_t extra = result->bytes_unexpected;
	char number[UNITS_TEXT_MAX];
	report_line_add(line, "wrong bytes received");
	line->separator = ": ";
	add_share(line, wrong, result->messages.sent + result->warmup.sent, "messages",
	    "answered wrongly");
	if (extra > 0)
		report_line_add(line, "%s extra byte%s arrived",
		    units_show_count(extra, number), report_line_plural(extra));
	line->separator = "; ";
	add_missing(line, result);
}

/* Losses that a threshold allows. */
static void
add_allowed(struct report_line *line, const struct result *result)
{
	const struct threshold *lost = verdict_budget(result, THRESHOLD_LOST);
	const struct threshold *failed = verdict_budget(result, THRESHOLD_FAILED);
	uint64_t messages = result_lost(&result->messages);
	uint64_t attempts = result_failed(result->connections.failed);
	char number[UNITS_TEXT_MAX], connections[UNITS_TEXT_MAX];
	if (lost != NULL && messages + result->connections.lost > 0)
		report_line_add(line,
		    "%s message%s and %s connection%s lost (allowed: %s)",
		    units_show_count(messages, number), report_line_plural(messages),
		    units_show_count(result->connections.lost, connections),
		    report_line_plural(result->connections.lost), lost->text);
	line->separator = "; ";
	if (failed != NULL && attempts > 0)
		report_line_add(line, "%s connection attempt%s failed (allowed: %s)",
		    units_show_count(attempts, number), report_line_plural(attempts),
		    failed->text);
	line->separator = "; ";
}

static void
add_success(struct report_line *line, const struct result *result)
{
	uint64_t messages = result->messages.verified,
		 connections = result->connections.requested;
	char number[UNITS_TEXT_MAX], all[UNITS_TEXT_MAX];
	report_line_add(line, "ok: %s message%s on %s connection%s, %s",
	    units_show_count(messages, number), report_line_plural(messages),
	    units_show_count(connections, all), report_line_plural(connections),
	    strcmp(result->plan.expect, "none") == 0 ? "replies not verified"
						     : "every byte verified");
	uint64_t aborted = result_aborted(&result->connections);
	line->separator = "; ";
	add_allowed(line, result);
	if (aborted > 0)
		report_line_add(line, "%s connection%s not closed in order",
		    units_show_count(aborted, number),
		    aborted == 1 ? " was" : "s were");
}

/* "so far: 2,000 messages verified on 20 of 20 connections", and what went wrong. */
static void
add_so_far(struct report_line *line, const struct result *result)
{
	const struct result_connections *c = &result->connections;
	char number[UNITS_TEXT_MAX], some[UNITS_TEXT_MAX], all[UNITS_TEXT_MAX];
	uint64_t wrong = result->messages.wrong + result->warmup.wrong;
	uint64_t lost = result_lost(&result->messages) + result_lost(&result->warmup);
	uint64_t verified = result->messages.verified;
	bool is_clean = wrong + lost + c->lost + result_failed(c->failed) == 0;
	report_line_add(line, "so far %s message%s verified on %s of %s connections",
	    units_show_count(verified, number), report_line_plural(verified),
	    units_show_count(c->first, some), units_show_count(c->requested, all));
	if (is_clean)
		report_line_add(line, "nothing wrong or lost");
	if (wrong > 0)
		report_line_add(line, "%s message%s wrong",
		    units_show_count(wrong, number), report_line_plural(wrong));
	if (lost > 0)
		report_line_add(line, "%s message%s lost",
		    units_show_count(lost, number), report_line_plural(lost));
	if (c->lost > 0)
		report_line_add(line, "%s connection%s lost",
		    units_show_count(c->lost, number), report_line_plural(c->lost));
	if (result_failed(c->failed) > 0)
		report_line_add(line, "%s connection attempt%s failed",
		    units_show_count(result_failed(c->failed), number),
		    report_line_plural(result_failed(c->failed)));
	for (size_t i = 0; i < result->threshold_count; i++)
		if (!result->thresholds[i].passed)
			report_line_add(line, "%s is not met",
			    result->thresholds[i].threshold.text);
}

static void
add_outcome(struct report_line *line, const struct result *result)
{
	int status = verdict_exit_status(result);
	if (status == 0) {
		add_success(line, result);
		return;
	}
	line->separator = "FAILED: ";
	switch (status) {
	case 1:
		add_missing(line, result);
		break;
	case 2:
		add_wrong(line, result);
		break;
	case 3:
		if (result->plan.strict)
			report_line_add(line, "the measurement is %s (--strict)",
			    result_verdict_names[result->trust.verdict]);
		else
			report_line_add(line,
			    "this client could not measure any step of the search");
		break;
	default:
		report_line_add(line, "a threshold was not met");
	}
}

const char *
report_summary(const struct result *result, char *out)
{
	struct report_line line = report_line_start(out);
	if (result->is_running)
		add_so_far(&line, result);
	else
		add_outcome(&line, result);
	line.separator = "; ";
	if (result->plan.tls_insecure)
		report_line_add(&line, "certificates not verified (--tls-insecure)");
	return out;
}

static const char *
server_of(const struct reconciliation *ledger)
{
	return ledger->server_count > 1 ? "the servers" : "the server";
}

/* "64 bytes (2 messages)" */
#define BYTES_TEXT_MAX (2 * UNITS_TEXT_MAX + 24)
static const char *
format_bytes(uint64_t bytes, uint64_t messages, char *out)
{
	char number[UNITS_TEXT_MAX], each[UNITS_TEXT_MAX];
	int n = snprintf(out, BYTES_TEXT_MAX, "%s byte%s",
	    units_show_count(bytes, number), report_line_plural(bytes));
	if (messages > 0)
		snprintf(out + n, BYTES_TEXT_MAX - (size_t)n, " (%s message%s)",
		    units_show_count(messages, each), report_line_plural(messages));
	return out;
}

/* Names the missing and the extra bytes, and their direction. */
static void
add_differences(struct report_line *line, const struct reconciliation *l)
{
	uint64_t unread = excess(l->client.bytes_sent, l->server.bytes_received);
	uint64_t extra_read = excess(l->server.bytes_received, l->client.bytes_sent);
	uint64_t unreceived = excess(l->server.bytes_sent, l->client.bytes_received);
	uint64_t extra_received =
	    excess(l->client.bytes_received, l->server.bytes_sent);
	const char *server = server_of(l);
	char text[BYTES_TEXT_MAX];
	if (l->explained.connections_never_accepted > 0)
		report_line_add(line, "%s connection%s never reached %s",
		    units_show_count(l->explained.connections_never_accepted, text),
		    report_line_plural(l->explained.connections_never_accepted),
		    server);
	if (unread > 0)
		report_line_add(line, "%s never reached %s",
		    format_bytes(unread, l->explained.messages_not_read, text), server);
	if (unreceived > 0)
		report_line_add(line, "%s of replies never reached the client",
		    format_bytes(unreceived, l->explained.answers_not_arrived, text));
	if (extra_read > 0)
		report_line_add(line, "%s reached %s but did not come from this client",
		    format_bytes(extra_read, 0, text), server);
	if (extra_received > 0)
		report_line_add(line, "%s reached the client but did not come from %s",
		    format_bytes(extra_received, 0, text), server);
}

static void
add_agreement(struct report_line *line, const struct reconciliation *l)
{
	char number[UNITS_TEXT_MAX], received[UNITS_TEXT_MAX];
	report_line_add(line, "client and %s agree: %s connection%s",
	    server_of(l) + strlen("the "),
	    units_show_count(l->client.connections_established, number),
	    report_line_plural(l->client.connections_established));
	if (l->server.connections_accepted > l->client.connections_established)
		report_line_add(line,
		    "%s more abandoned by the client while connecting",
		    units_show_count(l->server.connections_accepted -
			    l->client.connections_established,
			number));
	if (l->client.bytes_sent == l->client.bytes_received)
		report_line_add(line, "%s bytes each way",
		    units_show_count(l->client.bytes_sent, number));
	else
		report_line_add(line, "%s bytes sent, %s received",
		    units_show_count(l->client.bytes_sent, number),
		    units_show_count(l->client.bytes_received, received));
}

/* "the server accepted 2,298 of 2,299 connections"; more than all: "the server accepted
 * 2,300 connections, 1 more than this client established". */
static void
add_part(struct report_line *line, const char *did, uint64_t n, uint64_t all,
    const char *what, const char *source)
{
	char some[UNITS_TEXT_MAX], number[UNITS_TEXT_MAX];
	units_show_count(n, some);
	if (n <= all)
		report_line_add(line, "%s %s of %s %s%s", did, some,
		    units_show_count(all, number), what, report_line_plural(all));
	else
		report_line_add(line, "%s %s %s%s, %s more than %s", did, some, what,
		    report_line_plural(n), units_show_count(n - all, number), source);
}

static void
add_disagreement(struct report_line *line, const struct reconciliation *l)
{
	bool is_one = l->server_count <= 1;
	add_part(line, is_one ? "the server accepted" : "the servers accepted",
	    l->server.connections_accepted, l->client.connections_established,
	    "connection", "this client established");
	add_part(line, "received", l->server.bytes_received, l->client.bytes_sent,
	    "byte", "the client sent");
	line->separator = "; ";
	add_part(line, "the client received", l->client.bytes_received,
	    l->server.bytes_sent, "byte",
	    is_one ? "the server sent" : "the servers sent");
	line->separator = ": ";
	add_differences(line, l);
	line->separator = "; ";
	report_line_add(line, "the reported losses %s the difference",
	    l->consistent ? "explain" : "DO NOT EXPLAIN");
	line->separator = " ";
	if (!l->consistent && l->client.bytes_received > l->server.bytes_sent &&
	    l->explained.connections_never_accepted > 0)
		report_line_add(line, "(several servers? name each with --ledger)");
}

/* Some servers could not be read: what the others counted. */
static void
add_partial(struct report_line *line, const struct reconciliation *l)
{
	report_line_add(line, "%zu of %zu server%s reconciled",
	    l->server_count - reconcile_missing(l), l->server_count,
	    report_line_plural(l->server_count));
	line->separator = ": ";
	add_part(line, "accepted at least", l->server.connections_accepted,
	    l->client.connections_established, "connection", "this client established");
	add_part(line, "received at least", l->server.bytes_received,
	    l->client.bytes_sent, "byte", "the client sent");
	line->separator = "; ";
	if (!l->consistent)
		report_line_add(line, "MORE than this client counted");
}

/* During the run, both sides are read at different times. */
static void
add_ledger_so_far(struct report_line *line, const struct reconciliation *l)
{
	char connections[UNITS_TEXT_MAX], received[UNITS_TEXT_MAX],
	    sent[UNITS_TEXT_MAX];
	report_line_add(line,
	    "so far %s accepted %s connections, received %s bytes and sent %s; judged at the end",
	    server_of(l), units_show_count(l->server.connections_accepted, connections),
	    units_show_count(l->server.bytes_received, received),
	    units_show_count(l->server.bytes_sent, sent));
}

static bool
is_equal(const struct reconciliation *l)
{
	return l->consistent &&
	    l->server.connections_accepted >= l->client.connections_established &&
	    l->client.bytes_sent == l->server.bytes_received &&
	    l->client.bytes_received == l->server.bytes_sent;
}

const char *
report_summary_ledger(const struct result *result, char *out)
{
	const struct reconciliation *ledger = &result->ledger;
	struct report_line line = report_line_start(out);
	char number[UNITS_TEXT_MAX];
	if (!result->has_ledger)
		return out;
	if (result->is_running)
		add_ledger_so_far(&line, ledger);
	else if (reconcile_missing(ledger) > 0)
		add_partial(&line, ledger);
	else if (is_equal(ledger))
		add_agreement(&line, ledger);
	else
		add_disagreement(&line, ledger);
	line.separator = " ";
	if (ledger->server.retransmits > 0)
		report_line_add(&line, "(%s TCP retransmit%s on the host%s of %s)",
		    units_show_count(ledger->server.retransmits, number),
		    report_line_plural(ledger->server.retransmits),
		    ledger->server_count > 1 ? "s" : "", server_of(ledger));
	return out;
}

static const char *
why_unjudged(const struct result *result)
{
	const struct explained_faults *faults = &result->ledger.faults;
	if (faults->translated)
		return "the faults in the server's record hit other addresses than this "
		       "client's (a proxy or NAT without the PROXY protocol, or other "
		       "clients)";
	return reconcile_missing(&result->ledger) > 0 &&
		faults->recorded == faults->injected
	    ? "a server could not be read"
	    : "the record is too short";
}

static void
add_findings(struct report_line *line, const struct result *result)
{
	const struct explained_faults *faults = &result->ledger.faults;
	char some[UNITS_TEXT_MAX], all[UNITS_TEXT_MAX];
	if (faults->unexplained > 0) {
		report_line_add(line,
		    "DAMAGE OF THE PATH: %s of %s findings were not injected by the server",
		    units_show_count(faults->unexplained, some),
		    units_show_count(faults->findings, all));
		if (faults->explained > 0)
			report_line_add(
			    line, "%s were", units_show_count(faults->explained, some));
	} else if (faults->findings == 0) {
		report_line_add(line, "no findings");
	} else if (faults->unjudged == 0) {
		report_line_add(line,
		    "%s finding%s: all %s injected by the server; the path added no damage",
		    units_show_count(faults->findings, all),
		    report_line_plural(faults->findings),
		    units_show_count(faults->explained, some));
	} else {
		report_line_add(line, "%s of %s findings were injected by the server",
		    units_show_count(faults->explained, some),
		    units_show_count(faults->findings, all));
	}
	if (faults->unjudged > 0)
		report_line_add(line, "%s cannot be judged: %s",
		    units_show_count(faults->unjudged, some), why_unjudged(result));
}

/* Why faults that should have been found were not. */
static void
add_unseen(struct report_line *line, const struct explained_faults *faults)
{
	char number[UNITS_TEXT_MAX];
	uint64_t others = faults->unseen - faults->unseen_hidden - faults->unseen_lost;
	report_line_add(
	    line, "%s had no visible effect", units_show_count(faults->unseen, number));
	line->separator = ": ";
	if (faults->unseen_hidden > 0)
		report_line_add(line, "%s behind another fault of the same reply",
		    units_show_count(faults->unseen_hidden, number));
	if (faults->unseen_lost > 0)
		report_line_add(line, "%s on connections that were lost",
		    units_show_count(faults->unseen_lost, number));
	if (others > 0)
		report_line_add(line,
		    "%s in replies that were not awaited or still the same",
		    units_show_count(others, number));
}

const char *
report_summary_faults(const struct result *result, char *out)
{
	const struct explained_faults *faults = &result->ledger.faults;
	struct report_line line = report_line_start(out);
	char some[UNITS_TEXT_MAX];
	if (!result->has_ledger || !result->ledger.has_faults)
		return out;
	add_findings(&line, result);
	line.separator = "; ";
	report_line_add(&line, "the server injected %s fault%s",
	    units_show_count(faults->injected, some),
	    report_line_plural(faults->injected));
	line.separator = ": ";
	report_line_add(&line, "%s seen here", units_show_count(faults->seen, some));
	line.separator = ", ";
	report_line_add(&line, "%s of timing", units_show_count(faults->timing, some));
	if (faults->unseen > 0)
		add_unseen(&line, faults);
	if (faults->recorded < faults->injected)
		report_line_add(&line, "%s no longer in its record",
		    units_show_count(faults->injected - faults->recorded, some));
	return out;
}

bool
report_summary_has_damage(const struct result *result)
{
	return result->has_ledger && result->ledger.has_faults &&
	    result->ledger.faults.unexplained > 0;
}

bool
report_summary_finding(const struct result *result, size_t index, char *out)
{
	const struct reconciliation *ledger = &result->ledger;
	struct report_line line = report_line_start(out);
	if (index >= ledger->unexplained_finding_count)
		return false;
	const struct unexplained_finding *finding =
	    &ledger->unexplained_findings[index];
	report_line_add(&line, "not injected: %.16s at message %" PRIu64, finding->kind,
	    finding->message);
	line.separator = ", ";
	report_line_add(&line, "offset %" PRIu64, finding->offset);
	report_line_add(&line, "connection from %.64s at %.40s", finding->connection,
	    finding->time);
	printable_sanitize(out);
	return true;
}

static void
add_missing_server(
    char *out, const struct result *result, const struct reconciled_server *server)
{
	struct report_line line = report_line_start(out);
	uint64_t messages = result->ledger.unaccounted_messages;
	char number[UNITS_TEXT_MAX];
	if (server->error[0] != '\0')
		report_line_add(&line,
		    "%.128s: gone when it was asked at %.32s (%.128s)", server->where,
		    server->at, server->error);
	else
		report_line_add(
		    &line, "%.128s: restarted at %.32s", server->where, server->at);
	line.separator = ": ";
	report_line_add(&line, "at most %s message%s unaccounted",
	    units_show_count(messages, number), report_line_plural(messages));
	printable_sanitize(out);
}

bool
report_summary_server(const struct result *result, size_t index, char *out)
{
	char number[UNITS_TEXT_MAX], bytes[UNITS_TEXT_MAX], messages[UNITS_TEXT_MAX];
	out[0] = '\0';
	if (index >= result->ledger.server_count)
		return false;
	const struct reconciled_server *server = &result->ledger.servers[index];
	if (server->at[0] != '\0') {
		add_missing_server(out, result, server);
		return true;
	}
	snprintf(out, REPORT_SUMMARY_MAX,
	    "%.128s%s%.64s%s: accepted %s connection%s, received %s bytes, %s messages",
	    server->where, server->instance[0] != '\0' ? " (" : "", server->instance,
	    server->instance[0] != '\0' ? ")" : "",
	    units_show_count(server->connections_accepted, number),
	    report_line_plural(server->connections_accepted),
	    units_show_count(server->bytes_received, bytes),
	    units_show_count(server->messages_received, messages));
	printable_sanitize(out);
	return true;
}
