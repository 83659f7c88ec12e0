#include "client/report/report_html.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "lib/stats/percentile_interval.h"
#include "lib/units.h"
#include "client/report/chart.h"
#include "client/report/report_charts.h"
#include "client/report/report_connections.h"
#include "client/report/report_outages.h"
#include "client/report/report_servers.h"
#include "client/report/report_style.h"
#include "client/report/report_summary.h"
#include "client/report/report_tables.h"
#include "client/report/report_tls.h"
#include "client/result/result_fields.h"
#include "client/result/verdict.h"

static void
card(FILE *file, const char *figure, const char *label)
{
	fputs("<div class=\"card\"><b>", file);
	chart_text(file, figure);
	fprintf(file, "</b><span>%s</span></div>\n", label);
}

/* Damage of the path stands before everything else. */
static void
write_damage(const struct result *result, FILE *file)
{
	char line[REPORT_SUMMARY_MAX];
	if (!report_summary_has_damage(result))
		return;
	fputs("<p class=\"verdict bad\" id=\"damage\">", file);
	chart_text(file, report_summary_faults(result, line));
	for (size_t i = 0; report_summary_finding(result, i, line); i++) {
		fputs("<br>\n", file);
		chart_text(file, line);
	}
	fputs("</p>\n", file);
}

static void
write_title(const struct result *result, FILE *file)
{
	const struct result_plan *plan = &result->plan;
	char number[UNITS_TEXT_MAX];
	fprintf(file, "<h1>yodel: %s connection%s to ",
	    units_show_count(result->connections.requested, number),
	    report_line_plural(result->connections.requested));
	for (size_t i = 0; i < plan->target_count; i++) {
		fputs(i > 0 ? ", " : "", file);
		chart_text(file, plan->targets[i]);
	}
	fputs("</h1>\n<p class=\"dim\">", file);
	chart_text(file, plan->message);
	fputs("</p>\n", file);
}

static void
write_cards(const struct result *result, FILE *file)
{
	struct percentile_interval p50 =
	    result_percentile(result, LATENCY_RESPONSE, 50);
	struct percentile_interval p99 =
	    result_percentile(result, LATENCY_RESPONSE, 99);
	char text[UNITS_TEXT_MAX];
	fputs("<div class=\"cards\">\n", file);
	card(file, units_show_count(result->messages.verified, text),
	    "messages verified");
	card(file, units_show_count(result->messages.wrong, text), "messages wrong");
	card(file, units_show_count(result_lost(&result->messages), text),
	    "messages lost");
	card(
	    file, units_show_count(result->connections.lost, text), "connections lost");
	card(file, units_show_count(result_whole(result->messages_per_s), text),
	    "messages/s verified");
	card(file, p50.known ? units_show_duration(p50.value, text) : "?",
	    "response, p50");
	card(file, p99.known ? units_show_duration(p99.value, text) : "?",
	    "response, p99");
	fputs("</div>\n", file);
}

static void
write_trust(const struct result *result, FILE *file)
{
	static const char *const classes[] = { "good", "warn", "bad" };
	static const char *const words[] = { "the client was not the bottleneck",
		"the client or its machine may have affected these figures",
		"the client could not keep the schedule; do not use these latencies" };
	const struct result_trust *trust = &result->trust;
	fprintf(file, "<div class=\"verdict %s\" id=\"trust\"><b>%s</b>: %s\n",
	    classes[trust->verdict], result_verdict_names[trust->verdict],
	    words[trust->verdict]);
	if (trust->reason_count > 0)
		fputs("<ul>\n", file);
	for (size_t i = 0; i < trust->reason_count; i++) {
		fputs("<li>", file);
		chart_text(file, trust->reasons[i]);
		fputs("</li>\n", file);
	}
	fputs(trust->reason_count > 0 ? "</ul></div>\n" : "</div>\n", file);
}

static void
write_outcome(const struct result *result, FILE *file)
{
	char line[REPORT_SUMMARY_MAX];
	fprintf(file, "<p class=\"verdict %s\" id=\"outcome\">",
	    verdict_exit_status(result) == 0 ? "good" : "bad");
	chart_text(file, report_summary(result, line));
	fputs("</p>\n", file);
}

static void
write_ledger(const struct result *result, FILE *file)
{
	char line[REPORT_SUMMARY_MAX];
	report_summary_ledger(result, line);
	if (line[0] == '\0')
		return;
	fputs("<p id=\"ledger\">Ledger: ", file);
	chart_text(file, line);
	if (!report_summary_has_damage(result) &&
	    report_summary_faults(result, line)[0] != '\0') {
		fputs("<br>\nFaults: ", file);
		chart_text(file, line);
	}
	for (size_t i = 0; report_summary_server(result, i, line); i++) {
		fputs("<br>\n", file);
		chart_text(file, line);
	}
	fputs("</p>\n", file);
}

static void
write_window(const char *label, const uint8_t *data, uint32_t length, FILE *file)
{
	fprintf(file, "<br>%s <code>", label);
	for (uint32_t i = 0; i < length; i++)
		fprintf(file, "%02x ", data[i]);
	fputs("</code>", file);
}

static void
write_mismatches(const struct result *result, FILE *file)
{
	if (result->mismatch_count == 0)
		return;
	fputs("<h2>First wrong replies</h2>\n", file);
	for (size_t i = 0; i < result->mismatch_count; i++) {
		const struct counters_mismatch *m = &result->mismatches[i];
		fprintf(file,
		    "<p>connection %" PRIu64 ", message %" PRIu64 ", offset %" PRIu64
		    ", ",
		    m->connection, m->message, m->offset);
		chart_text(file, m->local);
		fputs(" at ", file);
		chart_text(file, m->at);
		fputs(": <b>", file);
		chart_text(
		    file, m->description[0] != '\0' ? m->description : m->looks_like);
		fputs("</b>", file);
		write_window("expected", m->expected, m->expected_length, file);
		write_window("received", m->got, m->got_length, file);
		fputs("</p>\n", file);
	}
}

/* One paragraph, unless there is nothing to say. */
static void
write_line(FILE *file, const char *line)
{
	if (line[0] == '\0')
		return;
	fputs("<p>", file);
	chart_text(file, line);
	fputs("</p>\n", file);
}

static void
write_servers(const struct result *result, FILE *file)
{
	char line[REPORT_LINE_MAX], spread[REPORT_LINE_MAX];
	report_servers_spread(result, spread);
	if (result->whoami.connections == 0 && spread[0] == '\0')
		return;
	fputs("<h2>Servers</h2>\n<div id=\"servers\">\n", file);
	write_line(file, report_servers_translation(result, line));
	report_tables_servers(result, file);
	write_line(file, spread);
	fputs("</div>\n", file);
}

static void
write_tls(const struct result *result, FILE *file)
{
	char line[REPORT_LINE_MAX];
	if (report_tls_verification(result, line)[0] == '\0')
		return;
	fprintf(file, "<h2>TLS</h2>\n<div id=\"tls\">\n<p%s>",
	    result->plan.tls_insecure ? " class=\"warn\"" : "");
	chart_text(file, line);
	fputs("</p>\n", file);
	for (size_t i = 0; report_tls_line(result, i, line); i++)
		write_line(file, line);
	fputs("</div>\n", file);
}

static void
write_connections(const struct result *result, FILE *file)
{
	char line[REPORT_LINE_MAX];
	bool aborted = result_aborted(&result->connections) > 0;
	size_t named = 0;
	for (size_t i = 0; i < result->address_count; i++)
		named +=
		    report_connections_address(&result->addresses[i], line)[0] != '\0';
	bool has_sockets = report_connections_sockets(result, line)[0] != '\0' ||
	    report_connections_options(result, line)[0] != '\0';
	if (!aborted && named == 0 && !has_sockets)
		return;
	fputs("<h2>Connections</h2>\n<div id=\"connections\">\n", file);
	if (aborted)
		fputs("<p class=\"warn\">Closed: ", file);
	chart_text(file, report_connections_close(result, line));
	if (aborted)
		fputs("</p>\n", file);
	write_line(file, report_connections_options(result, line));
	write_line(file, report_connections_sockets(result, line));
	write_line(file, report_connections_wait(result, line));
	for (size_t i = 0; i < result->address_count; i++)
		write_line(
		    file, report_connections_address(&result->addresses[i], line));
	fputs("</div>\n", file);
}

static void
write_lost_connection(const struct result_lost_connection *lost, FILE *file)
{
	char line[REPORT_LINE_MAX];
	fputs("<p>", file);
	chart_text(file, report_connections_lost(lost, line));
	fputs("<br>\n", file);
	chart_text(file, report_connections_outstanding(lost, line));
	if (lost->waiting[0] != '\0')
		fputs("<br>\n", file);
	chart_text(file, lost->waiting);
	fputs("</p>\n", file);
}

static void
write_lost_connections(const struct result *result, FILE *file)
{
	char line[REPORT_LINE_MAX];
	if (result->loss_count > 0)
		fputs(
		    "<h2>Lost connections</h2>\n<ul id=\"lost_connections\">\n", file);
	for (size_t i = 0; i < result->loss_count; i++) {
		fputs("<li>", file);
		chart_text(file, report_connections_losses(&result->losses[i], line));
		fputs("</li>\n", file);
	}
	if (result->loss_count > 0)
		fputs("</ul>\n", file);
	if (result->lost_connection_count == 0)
		return;
	for (size_t i = 0; i < result->lost_connection_count; i++)
		if (report_connections_is_example(result, i))
			write_lost_connection(&result->lost_connections[i], file);
	fprintf(file, "<details><summary>The first %zu lost connections</summary>\n",
	    result->lost_connection_count);
	for (size_t i = 0; i < result->lost_connection_count; i++)
		write_lost_connection(&result->lost_connections[i], file);
	fputs("</details>\n", file);
}

/* The age of the figures is not bounded (live_budget.h): says when they were true. */
static void
write_running(const struct result *result, FILE *file)
{
	char time[UNITS_TEXT_MAX];
	if (!result->is_running)
		return;
	fprintf(file,
	    "<p class=\"dim\" id=\"live\">The run goes on. These are its figures of %s.</p>\n",
	    result->collected_at_ns == 0
		? "an unknown time"
		: units_format_time(result->collected_at_ns, 0, time));
}

void
report_html_main(const struct result *result, FILE *file)
{
	write_damage(result, file);
	write_title(result, file);
	write_running(result, file);
	write_outcome(result, file);
	write_trust(result, file);
	write_ledger(result, file);
	report_tables_head(result, file);
	write_cards(result, file);
	report_tables_thresholds(result, file);
	report_tables_search(result, file);
	report_tables_latencies(result, file);
	report_charts(result, file);
	report_outages_html(result, file);
	report_charts_losses(result, file);
	report_tables_targets(result, file);
	write_connections(result, file);
	write_servers(result, file);
	write_tls(result, file);
	write_lost_connections(result, file);
	write_mismatches(result, file);
	report_tables_ranks(result, file);
	report_tables_plan(result, file);
	report_tables_host(result, file);
}

/* `nonce`: of the Content-Security-Policy of a page with its script; NULL: without.
 * `contents`: those of <main>; NULL: not made yet. */
static void
write_page(
    const struct result *result, const char *contents, const char *nonce, FILE *file)
{
	const struct result_plan *plan = &result->plan;
	fputs("<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width\">\n"
	      "<link rel=\"icon\" href=\"data:,\">\n<title>yodel: ",
	    file);
	chart_text(file, plan->target_count > 0 ? plan->targets[0] : "");
	fputs("</title>\n<style", file);
	if (nonce != NULL)
		fprintf(file, " nonce=\"%s\"", nonce);
	fprintf(file, ">\n%s</style>\n</head>\n<body>\n<main>\n", report_style);
	if (contents != NULL)
		fputs(contents, file);
	else
		report_html_main(result, file);
	fputs("</main>\n", file);
	if (nonce != NULL)
		fprintf(
		    file, "<script nonce=\"%s\">\n%s</script>\n", nonce, report_script);
	fputs("</body>\n</html>\n", file);
}

void
report_html_live(
    const struct result *result, const char *contents, const char *nonce, FILE *file)
{
	write_page(result, contents, nonce, file);
}

int
report_html(const struct result *result, FILE *file)
{
	write_page(result, NULL, NULL, file);
	return ferror(file) ? -1 : 0;
}
