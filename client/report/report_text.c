#include "client/report/report_text.h"

#include <inttypes.h>
#include <string.h>

#include "lib/units.h"
#include "client/report/report_connections.h"
#include "client/report/report_outages.h"
#include "client/report/report_servers.h"
#include "client/report/report_summary.h"
#include "client/report/report_tls.h"
#include "client/report/text_layout.h"
#include "client/report/text_tables.h"
#include "client/result/verdict.h"

#define BYTES_SHOWN 16 /* in a line */
#define MISMATCHES_SHOWN 8
#define TARGETS_SHOWN 8
#define ADDRESSES_SHOWN 16

static const char *
count(uint64_t number, char *buffer)
{
	return units_show_count(number, buffer);
}

/* "50 connections to 10.0.0.1:9000, closed loop, 4 messages in flight on each, 5 s" */
static void
print_plan(const struct result *result, FILE *file)
{
	const struct result_plan *plan = &result->plan;
	char number[UNITS_TEXT_MAX], time[UNITS_TEXT_MAX];
	fprintf(file, "\n" TEXT_LABEL "%s connection%s to ", "plan",
	    count(result->connections.requested, number),
	    report_line_plural(result->connections.requested));
	for (size_t i = 0; i < plan->target_count; i++)
		fprintf(file, "%s%s", i > 0 ? ", " : "", plan->targets[i]);
	if (plan->rate > 0)
		fprintf(file, ", open loop, %s messages/s in total (%s)",
		    count(result_whole(plan->rate), number), plan->arrivals);
	else if (plan->interval_ns > 0)
		fprintf(file, ", one message every %s on each",
		    units_show_duration(plan->interval_ns, time));
	else
		fprintf(file, ", %s%s", plan->load,
		    strcmp(plan->load, "closed") == 0 ? " loop" : "");
	if (plan->pipeline > 1)
		fprintf(file, ", up to %s in flight on each",
		    count(plan->pipeline, number));
	if (plan->duration_ns > 0)
		fprintf(file, ", %s", units_show_duration(plan->duration_ns, time));
	else
		fprintf(file, ", %s message%s on each", count(plan->messages, number),
		    report_line_plural(plan->messages));
	if (plan->conversation[0] != '\0')
		fprintf(file, "\n" TEXT_LABEL "%s\n", "", plan->message);
	else
		fprintf(file, "\n" TEXT_LABEL "%s; framing %s, expect %s\n", "",
		    plan->message, plan->framing, plan->expect);
}

static void
print_head(const struct result *result, FILE *file)
{
	const char *host = result->host.hostname;
	char start[UNITS_TEXT_MAX], duration[UNITS_TEXT_MAX];
	fprintf(file, TEXT_LABEL "%s, %s%s%s, yodel %s\n", "run",
	    units_format_time(result->started_at_ns, 0, start),
	    units_show_duration(result_whole(result->elapsed_s * 1e9), duration),
	    host != NULL && host[0] != '\0' ? " on " : "", host != NULL ? host : "",
	    result->version);
	if (result->command[0] != '\0')
		fprintf(file, TEXT_LABEL "%s\n", "command", result->command);
}

static void
print_labels(const struct result *result, FILE *file)
{
	char text[LABELS_MAX * (LABELS_KEY_MAX + 2)];
	if (result->labels.count > 0)
		fprintf(file, TEXT_LABEL "%s\n", "labels",
		    labels_format(&result->labels, text, sizeof(text)));
}

/* " (3 refused, 1 timeout)"; nothing for none. */
static void
print_reasons(const uint64_t *failed, FILE *file)
{
	char number[UNITS_TEXT_MAX];
	const char *before = " (";
	for (int i = 0; i < CONNECT_FAILURE_COUNT; i++) {
		if (failed[i] == 0)
			continue;
		fprintf(file, "%s%s %s", before, count(failed[i], number),
		    counters_connect_failure_names[i]);
		before = ", ";
	}
	if (*before == ',')
		fputc(')', file);
}

static void
print_connect_rate(const struct result *result, FILE *file)
{
	char made[UNITS_TEXT_MAX], asked[UNITS_TEXT_MAX];
	if (result->connections_per_s < 1)
		return;
	fprintf(file, " (%s/s", count(result_whole(result->connections_per_s), made));
	if (result->plan.connect_rate > 0)
		fprintf(file, " of %s/s planned",
		    count(result_whole(result->plan.connect_rate), asked));
	fputc(')', file);
}

static void
print_connections(const struct result *result, FILE *file)
{
	const struct result_connections *c = &result->connections;
	char number[UNITS_TEXT_MAX], rate[UNITS_TEXT_MAX];
	fprintf(file, TEXT_LABEL "%s established", "connections",
	    count(c->established, number));
	print_connect_rate(result, file);
	fprintf(file, ", %s failed", count(result_failed(c->failed), number));
	print_reasons(c->failed, file);
	if (c->lost > 0)
		fprintf(file, ", %s lost (%s by a reset)", count(c->lost, number),
		    count(c->reset, rate));
	if (c->reconnects > 0)
		fprintf(file, ", %s reconnect%s", count(c->reconnects, number),
		    report_line_plural(c->reconnects));
	fputc('\n', file);
}

static void
print_targets(const struct result *result, FILE *file)
{
	char number[UNITS_TEXT_MAX];
	size_t shown = 0;
	for (size_t i = 0; i < result->target_count; i++) {
		const struct result_target *target = &result->targets[i];
		uint64_t failed = result_failed(target->failed);
		if (failed == 0 || shown++ >= TARGETS_SHOWN)
			continue;
		fprintf(file, TEXT_LABEL "%s: %s failed", "", target->name,
		    count(failed, number));
		print_reasons(target->failed, file);
		fprintf(file, "%s%s\n", target->last_error[0] != '\0' ? ": " : "",
		    target->last_error);
	}
	if (shown > TARGETS_SHOWN)
		fprintf(file, TEXT_LABEL "... %zu more in the JSON result\n", "",
		    shown - TARGETS_SHOWN);
}

/* The addresses of names. */
static void
print_addresses(const struct result *result, FILE *file)
{
	char line[REPORT_LINE_MAX];
	size_t shown = 0;
	for (size_t i = 0; i < result->address_count; i++)
		if (report_connections_address(&result->addresses[i], line)[0] !=
			'\0' &&
		    shown++ < ADDRESSES_SHOWN)
			fprintf(file, TEXT_LABEL "%s\n", shown == 1 ? "addresses" : "",
			    line);
	if (shown > ADDRESSES_SHOWN)
		fprintf(file, TEXT_LABEL "... %zu more in the JSON result\n", "",
		    shown - ADDRESSES_SHOWN);
}

static void
print_closes(const struct result *result, FILE *file)
{
	char line[REPORT_LINE_MAX];
	if (report_connections_close(result, line)[0] != '\0')
		fprintf(file, TEXT_LABEL "%s\n", "closed", line);
	if (report_connections_options(result, line)[0] != '\0')
		fprintf(file, TEXT_LABEL "%s\n", "options", line);
	if (report_connections_sockets(result, line)[0] != '\0')
		fprintf(file, TEXT_LABEL "%s\n", "sockets", line);
	if (report_connections_wait(result, line)[0] != '\0')
		fprintf(file, TEXT_LABEL "%s\n", "", line);
}

/* The servers behind a balancer. */
static void
print_servers(const struct result *result, FILE *file)
{
	char line[REPORT_LINE_MAX];
	if (report_servers_translation(result, line)[0] != '\0')
		fprintf(file, TEXT_LABEL "%s\n", "client", line);
	for (size_t i = 0; i < result->server_count && i < REPORT_SERVERS_SHOWN; i++)
		fprintf(file, TEXT_LABEL "%s\n", i == 0 ? "servers" : "",
		    report_servers_server(result, i, line));
	if (result->server_count > REPORT_SERVERS_SHOWN)
		fprintf(file, TEXT_LABEL "... %zu more in the JSON result\n", "",
		    result->server_count - REPORT_SERVERS_SHOWN);
	if (report_servers_spread(result, line)[0] != '\0')
		fprintf(file, TEXT_LABEL "%s\n", "spread", line);
}

static void
print_tls(const struct result *result, FILE *file)
{
	char line[REPORT_LINE_MAX];
	if (report_tls_verification(result, line)[0] != '\0')
		fprintf(file, TEXT_LABEL "%s\n", "TLS", line);
	for (size_t i = 0; report_tls_line(result, i, line); i++)
		if (line[0] != '\0')
			fprintf(file, TEXT_LABEL "%s\n", "", line);
}

/* For connections that are reopened: the side that closes first keeps its port in
 * TIME_WAIT. */
static void
print_ports(const struct result *result, FILE *file)
{
	const struct result_ports *ports = &result->ports;
	const struct result_plan *plan = &result->plan;
	char held[UNITS_TEXT_MAX], all[UNITS_TEXT_MAX], before[UNITS_TEXT_MAX],
	    most[UNITS_TEXT_MAX];
	if (plan->messages_per_connection == 0 && plan->lifetime_ns == 0 &&
	    result->connections.reconnects == 0)
		return;
	if (!result_uses_ports(result))
		return;
	fprintf(file,
	    TEXT_LABEL
	    "at most %s of %s in use; in TIME_WAIT on this machine: %s before the run, at most %s during it\n",
	    "ports", count(ports->held_max, held), count(ports->available, all),
	    count(ports->time_wait_before, before), count(ports->time_wait_max, most));
}

static void
print_messages(const char *label, const struct result_messages *messages, FILE *file)
{
	char sent[UNITS_TEXT_MAX], verified[UNITS_TEXT_MAX], wrong[UNITS_TEXT_MAX],
	    lost[UNITS_TEXT_MAX], in_flight[UNITS_TEXT_MAX];
	fprintf(file,
	    TEXT_LABEL "%s sent %s %s verified + %s wrong + %s lost + %s in flight\n",
	    label, count(messages->sent, sent),
	    result_adds_up(messages) ? "=" : "!=", count(messages->verified, verified),
	    count(messages->wrong, wrong), count(result_lost(messages), lost),
	    count(messages->in_flight, in_flight));
}

static void
print_lost(const struct result *result, FILE *file)
{
	char number[UNITS_TEXT_MAX];
	const char *before = "";
	if (result_lost(&result->messages) == 0)
		return;
	fprintf(file, TEXT_LABEL, "lost");
	for (int i = 0; i < MESSAGE_LOSS_COUNT; i++) {
		if (result->messages.lost[i] == 0)
			continue;
		fprintf(file, "%s%s %s", before,
		    count(result->messages.lost[i], number), counters_loss_names[i]);
		before = ", ";
	}
	if (result->oldest_lost_ns > 0)
		fprintf(file, "; the oldest waited %s",
		    units_show_duration(result->oldest_lost_ns, number));
	fputc('\n', file);
}

static void
print_rates(const struct result *result, FILE *file)
{
	char rate[UNITS_TEXT_MAX], due[UNITS_TEXT_MAX], late[UNITS_TEXT_MAX],
	    out[UNITS_TEXT_MAX], in[UNITS_TEXT_MAX], time[UNITS_TEXT_MAX];
	fprintf(file,
	    TEXT_LABEL "%s messages/s verified in %s%s; %s sent, %s received%s\n",
	    "throughput", count(result_whole(result->messages_per_s), rate),
	    units_show_duration(result_whole(result->elapsed_s * 1e9), time),
	    result->interrupted ? " (interrupted)" : "",
	    units_show_size(result->bytes_sent, out),
	    units_show_size(result->bytes_received, in),
	    result->warmup.sent > 0 ? " with the warm-up" : "");
	if (result->messages_due > 0)
		fprintf(file,
		    TEXT_LABEL
		    "%s message%s due, %s sent, %s of them more than 1 ms late\n",
		    "schedule", count(result->messages_due, due),
		    report_line_plural(result->messages_due),
		    count(result->messages.sent, out),
		    count(result->messages_late, late));
	if (result->bytes_unexpected > 0)
		fprintf(file,
		    TEXT_LABEL "%s extra byte%s arrived that belong%s to no message\n",
		    "extra", count(result->bytes_unexpected, out),
		    report_line_plural(result->bytes_unexpected),
		    result->bytes_unexpected == 1 ? "s" : "");
}

static void
print_window(const char *label, const uint8_t *data, uint32_t length, FILE *file)
{
	for (uint32_t at = 0; at == 0 || at < length; at += BYTES_SHOWN) {
		uint32_t end = at + BYTES_SHOWN < length ? at + BYTES_SHOWN : length;
		fprintf(file, "    %-9s", at == 0 ? label : "");
		for (uint32_t i = at; i < end; i++)
			fprintf(file, "%02x ", data[i]);
		fprintf(file, "%*s|",
		    at == 0 ? 1 : (int)(1 + 3 * (at + BYTES_SHOWN - end)), "");
		for (uint32_t i = at; i < end; i++)
			fputc(data[i] >= 0x20 && data[i] < 0x7f ? data[i] : '.', file);
		fprintf(file, "|%s\n", length == 0 ? " (nothing)" : "");
	}
}

static void
print_mismatches(const struct result *result, FILE *file)
{
	if (result->mismatch_count == 0)
		return;
	fprintf(file, "\n  first wrong replies\n");
	for (size_t i = 0; i < result->mismatch_count && i < MISMATCHES_SHOWN; i++) {
		const struct counters_mismatch *m = &result->mismatches[i];
		fprintf(file,
		    "  connection %" PRIu64 " (%s), message %" PRIu64
		    ", offset %" PRIu64 " at %s%s%s\n",
		    m->connection, m->local, m->message, m->offset, m->at,
		    m->looks_like[0] != '\0' ? ": " : "", m->looks_like);
		if (m->description[0] != '\0') {
			fprintf(file, "    %s\n", m->description);
			continue;
		}
		print_window("expected", m->expected, m->expected_length, file);
		print_window("received", m->got, m->got_length, file);
	}
	if (result->mismatch_count > MISMATCHES_SHOWN)
		fprintf(file, "  ... %zu more in the JSON result\n",
		    result->mismatch_count - MISMATCHES_SHOWN);
}

static void
print_lost_connections(const struct result *result, FILE *file)
{
	char line[REPORT_LINE_MAX];
	size_t left = result->lost_connection_count;
	if (left == 0)
		return;
	fprintf(file, "\n  lost connections\n");
	for (size_t i = 0; i < result->loss_count; i++)
		fprintf(file, "  - %s\n",
		    report_connections_losses(&result->losses[i], line));
	fprintf(file, "  first lost connections of each kind\n");
	for (size_t i = 0; i < result->lost_connection_count; i++) {
		const struct result_lost_connection *lost =
		    &result->lost_connections[i];
		if (!report_connections_is_example(result, i))
			continue;
		left--;
		fprintf(file, "  %s\n", report_connections_lost(lost, line));
		fprintf(file, "    %s\n", report_connections_outstanding(lost, line));
		if (lost->waiting[0] != '\0')
			fprintf(file, "    %s\n", lost->waiting);
	}
	if (left > 0)
		fprintf(file, "  ... %zu more in the JSON result\n", left);
}

static void
print_outages(const struct result *result, FILE *file)
{
	char lines[REPORT_OUTAGES_LINES_MAX][REPORT_LINE_MAX];
	size_t count = report_outages_lines(result, lines);
	if (count > 0)
		fputs("\n  outages\n", file);
	for (size_t i = 0; i < count; i++)
		fprintf(file, "  %s%s\n", i > 0 ? "  " : "", lines[i]);
}

static void
print_thresholds(const struct result *result, FILE *file)
{
	char value[THRESHOLD_TEXT_MAX];
	if (result->threshold_count > 0)
		fputc('\n', file);
	for (size_t i = 0; i < result->threshold_count; i++) {
		const struct threshold_outcome *t = &result->thresholds[i];
		fprintf(file, TEXT_LABEL "%s: %s" TEXT_END " (%s)\n",
		    i == 0 ? "thresholds" : "", t->threshold.text,
		    t->passed ? TEXT_GOOD "passed" : TEXT_BAD "FAILED",
		    threshold_describe(t, value));
	}
}

static void
print_faults(const struct result *result, FILE *file)
{
	char line[REPORT_SUMMARY_MAX];
	if (report_summary_faults(result, line)[0] != '\0')
		fprintf(file, TEXT_LABEL "%s\n", "faults", line);
	for (size_t i = 0; report_summary_finding(result, i, line); i++)
		fprintf(file, TEXT_LABEL "- %s\n", "", line);
}

static void
print_ledger(const struct result *result, FILE *file)
{
	char line[REPORT_SUMMARY_MAX];
	if (report_summary_ledger(result, line)[0] != '\0')
		fprintf(file, TEXT_LABEL "%s\n", "ledger", line);
	if (!report_summary_has_damage(result))
		print_faults(result, file);
	for (size_t i = 0; report_summary_server(result, i, line); i++)
		fprintf(file, TEXT_LABEL "- %s\n", "", line);
}

static void
print_trust(const struct result *result, FILE *file)
{
	const struct result_trust *trust = &result->trust;
	static const char *const marks[] = { TEXT_GOOD, TEXT_WARN, TEXT_BAD };
	fprintf(file, "\n" TEXT_LABEL "%s%s" TEXT_END "\n", "trust",
	    marks[trust->verdict], result_verdict_names[trust->verdict]);
	for (size_t i = 0; i < trust->reason_count; i++)
		fprintf(file, TEXT_LABEL "- %s\n", "", trust->reasons[i]);
}

static void
print_outcome(const struct result *result, FILE *file)
{
	char outcome[REPORT_SUMMARY_MAX];
	fprintf(file, "\n  %s%s" TEXT_END "\n",
	    verdict_exit_status(result) == 0 ? TEXT_GOOD : TEXT_BAD,
	    report_summary(result, outcome));
}

static void
print_all(const struct result *result, FILE *file)
{
	if (report_summary_has_damage(result))
		print_faults(result, file);
	print_plan(result, file);
	print_head(result, file);
	print_labels(result, file);
	print_connections(result, file);
	print_targets(result, file);
	print_addresses(result, file);
	print_closes(result, file);
	print_servers(result, file);
	print_tls(result, file);
	print_ports(result, file);
	print_messages("messages", &result->messages, file);
	if (result->warmup.sent > 0)
		print_messages("warm-up", &result->warmup, file);
	print_lost(result, file);
	print_rates(result, file);
	print_ledger(result, file);
	print_outages(result, file);
	print_lost_connections(result, file);
	print_mismatches(result, file);
	text_tables_latencies(result, file);
	text_tables_targets(result, file);
	text_tables_ranks(result, file);
	print_thresholds(result, file);
	print_trust(result, file);
	print_outcome(result, file);
}

void
report_text(const struct result *result, FILE *file)
{
	struct text_layout_text text;
	text_layout_begin(&text);
	print_all(result, text.out);
	text_layout_end(&text, file);
}
