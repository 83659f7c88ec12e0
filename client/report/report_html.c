#include "client/report/report_html.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "lib/stats/percentile_interval.h"
#include "lib/units.h"
#include "client/report/chart.h"
#include "client/report/report_charts.h"
#include "client/report/report_connections.h"
#include "client/report/report_servers.h"
#include "client/report/report_summary.h"
#include "client/result/result_fields.h"
#include "client/result/verdict.h"

#define TOO_FEW "<td class=\"dim\" title=\"too few samples\">?</td>"

/* clang-format off */
static const char style[] =
    ":root{color-scheme:light dark;--fg:#1b1f24;--dim:#5c6670;--bg:#fff;--box:#f5f7f9;--line:#d9dee3;--good:#1a7f4b;--warn:#9a6700;--bad:#c02b2b;--c0:#0072b2;--c1:#009e73;--c2:#d98200;--c3:#b2559a;--c4:#6b7280}\n"
    "@media(prefers-color-scheme:dark){:root{--fg:#e6e9ec;--dim:#9aa4ae;--bg:#14171a;--box:#1d2125;--line:#343b42;--good:#4cc38a;--warn:#e0a93b;--bad:#ff7a7a;--c0:#56b4e9;--c1:#2fcc9b;--c2:#ffb347;--c3:#e08fca;--c4:#9aa4ae}}\n"
    "*{box-sizing:border-box}body{margin:0 auto;max-width:920px;padding:24px 20px 48px;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif}\n"
    "h1{font-size:22px;margin:0 0 4px}h2{font-size:16px;margin:32px 0 8px}p{margin:4px 0 8px}.dim{color:var(--dim)}\n"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th,td{padding:4px 10px 4px 0;text-align:right;border-bottom:1px solid var(--line)}th{font-weight:600;color:var(--dim)}th:first-child,td:first-child{text-align:left}.left td,.left th{text-align:left}.scroll{overflow-x:auto}.scroll td{white-space:nowrap}\n"
    ".cards{display:flex;flex-wrap:wrap;gap:10px;margin:16px 0}.card{flex:1 1 130px;background:var(--box);border-radius:8px;padding:10px 14px}.card b{display:block;font-size:20px;font-variant-numeric:tabular-nums}.card span{color:var(--dim);font-size:13px}\n"
    ".verdict{border-left:5px solid;border-radius:6px;background:var(--box);padding:10px 14px;margin:14px 0}.verdict ul{margin:4px 0 0;padding-left:20px}.good{color:var(--good)}.warn{color:var(--warn)}.bad{color:var(--bad)}.verdict li{color:var(--fg)}\n"
    "svg{width:100%;height:auto;display:block;overflow:visible}svg text{fill:var(--dim);font-size:12px}.grid{stroke:var(--line);stroke-width:1}.axis{fill:none;stroke:var(--dim);stroke-width:1}.line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}.line{vector-effect:non-scaling-stroke}.dashed{stroke-dasharray:2 5}.band{opacity:.18}\n"
    ".line.s0{stroke:var(--c0)}.line.s1{stroke:var(--c1)}.line.s2{stroke:var(--c2)}.line.s3{stroke:var(--c3)}.line.s4{stroke:var(--c4)}.band.s0{fill:var(--c0)}\n"
    ".key{display:flex;flex-wrap:wrap;gap:4px 18px;font-size:13px;color:var(--dim)}.key i{display:inline-block;width:18px;height:3px;border-radius:2px;vertical-align:middle;margin-right:6px}.key .s0{background:var(--c0)}.key .s1{background:var(--c1)}.key .s2{background:var(--c2)}.key .s3{background:var(--c3)}.key .s4{background:var(--c4)}\n"
    ".loss .line.s1{stroke:var(--bad)}.loss .key .s1{background:var(--bad)}\n"
    ".bar{display:inline-block;height:10px;border-radius:3px;background:var(--bad)}code{font:13px ui-monospace,monospace;white-space:pre-wrap;word-break:break-all}\n"
    "@media(max-width:600px){body{padding:16px 16px 40px}svg{margin:10px 0 14px}svg text{font-size:25px}.x{transform:translateY(9px)}.grid,.axis{vector-effect:non-scaling-stroke}}\n";
/* clang-format on */

static void
card(FILE *file, const char *figure, const char *label)
{
	fputs("<div class=\"card\"><b>", file);
	chart_text(file, figure);
	fprintf(file, "</b><span>%s</span></div>\n", label);
}

/* A key of the plan becomes words: "duration_ns" becomes "duration". */
static void
row(FILE *file, const char *name, const char *value)
{
	size_t length = strlen(name);
	if (value[0] == '\0')
		return;
	if (length > 3 && strcmp(name + length - 3, "_ns") == 0)
		length -= 3;
	fputs("<tr><td>", file);
	for (size_t i = 0; i < length; i++)
		fputc(name[i] == '_' ? ' ' : name[i], file);
	fputs("</td><td>", file);
	chart_text(file, value);
	fputs("</td></tr>\n", file);
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
write_head(const struct result *result, FILE *file)
{
	const struct result_plan *plan = &result->plan;
	char number[UNITS_TEXT_MAX];
	fputs("<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width\">\n"
	      "<link rel=\"icon\" href=\"data:,\">\n<title>yodel: ",
	    file);
	chart_text(file, plan->target_count > 0 ? plan->targets[0] : "");
	fprintf(file, "</title>\n<style>\n%s</style>\n</head>\n<body>\n", style);
	write_damage(result, file);
	fputs("<h1>yodel: ", file);
	fprintf(file, "%s connections to ",
	    units_show_count(result->connections.requested, number));
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
	card(file, p50.known ? units_show_duration(p50.value, text) : "not known",
	    "response, p50");
	card(file, p99.known ? units_show_duration(p99.value, text) : "not known",
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
write_latency_row(const struct result *result, enum latency_kind which, FILE *file)
{
	const struct histogram *h = result->latency[which];
	char text[UNITS_TEXT_MAX], name[RESULT_LATENCY_NAME_MAX];
	if (histogram_count(h) == 0)
		return;
	fputs("<tr><td>", file);
	chart_text(file, result_latency_name(result, (int)which, name));
	fputs("</td>", file);
	fprintf(file, "<td>%s</td>", units_show_duration(histogram_min(h), text));
	fprintf(file, "<td>%s</td>",
	    units_show_duration(result_whole(histogram_mean(h)), text));
	for (size_t i = 0; i < RESULT_PERCENTILES; i++) {
		struct percentile_interval c =
		    result_percentile(result, which, result_percentiles[i]);
		char low[UNITS_TEXT_MAX], high[UNITS_TEXT_MAX];
		if (!c.known) {
			fputs(TOO_FEW, file);
			continue;
		}
		if (c.has_interval)
			fprintf(file, "<td title=\"95 %% confidence: %s to %s\">",
			    units_show_duration(c.low, low),
			    units_show_duration(c.high, high));
		else
			fputs("<td>", file);
		fprintf(file, "%s</td>", units_show_duration(c.value, text));
	}
	fprintf(file, "<td>%s</td>", units_show_duration(histogram_max(h), text));
	fprintf(file, "<td>%s</td></tr>\n", units_show_count(histogram_count(h), text));
}

static void
write_latencies(const struct result *result, FILE *file)
{
	fputs(
	    "<h2>Latency</h2>\n<div class=\"scroll\"><table><tr><th></th><th>min</th><th>mean</th><th>p50</th><th>p90</th><th>p99</th><th>p99.9</th><th>p99.99</th><th>max</th><th>count</th></tr>\n",
	    file);
	for (int i = 0; i < result_latency_count(result); i++)
		write_latency_row(result, (enum latency_kind)i, file);
	fputs(
	    "</table></div>\n<p class=\"dim\">response is measured from the intended send time, service from the actual one. ?: too few samples. The tooltip of a percentile shows its 95 % confidence interval.</p>\n",
	    file);
}

static void
write_thresholds(const struct result *result, FILE *file)
{
	char value[THRESHOLD_TEXT_MAX];
	if (result->threshold_count == 0)
		return;
	fputs("<h2>Thresholds</h2>\n<table class=\"left\">\n", file);
	for (size_t i = 0; i < result->threshold_count; i++) {
		const struct threshold_outcome *t = &result->thresholds[i];
		fputs("<tr><td><code>", file);
		chart_text(file, t->threshold.text);
		fprintf(file, "</code></td><td class=\"%s\">%s</td><td>%s</td></tr>\n",
		    t->passed ? "good" : "bad", t->passed ? "passed" : "FAILED",
		    threshold_describe(t, value));
	}
	fputs("</table>\n", file);
}

static void
write_search(const struct result *result, FILE *file)
{
	char rate[UNITS_TEXT_MAX], achieved[UNITS_TEXT_MAX];
	if (result->search_step_count == 0)
		return;
	fputs(
	    "<h2>Search</h2>\n<div class=\"scroll\"><table><tr><th>planned/s</th><th>achieved/s</th><th>outcome</th><th>trust</th></tr>\n",
	    file);
	for (size_t i = 0; i < result->search_step_count; i++) {
		const struct result_search_step *step = &result->search_steps[i];
		fprintf(file, "<tr><td>%s</td><td>%s</td><td>",
		    units_show_count(result_whole(step->rate), rate),
		    units_show_count(result_whole(step->achieved), achieved));
		chart_text(file, step->outcome);
		fputs("</td><td>", file);
		chart_text(file, step->verdict);
		fputs("</td></tr>\n", file);
	}
	fputs(
	    "</table></div>\n<p class=\"dim\">A rate is decided when two of its runs agree.</p>\n",
	    file);
}

static void
write_ranks(const struct result *result, FILE *file)
{
	char text[UNITS_TEXT_MAX];
	if (result->rank_count == 0)
		return;
	fputs(
	    "<h2>Results of each rank</h2>\n<div class=\"scroll\"><table><tr><th>rank</th><th>host</th><th>verified</th><th>p50</th><th>p99</th><th>p99.9</th><th>max</th><th>trust</th></tr>\n",
	    file);
	for (size_t i = 0; i < result->rank_count; i++) {
		const struct result_rank *r = &result->ranks[i];
		const struct {
			double percentile;
			uint64_t ns;
		} times[] = { { 50, r->p50_ns }, { 99, r->p99_ns },
			{ 99.9, r->p999_ns } };
		fprintf(file, "<tr><td>%" PRIu64 "</td><td>", r->rank);
		chart_text(file, r->hostname);
		fprintf(file, "</td><td>%s</td>",
		    units_show_count(r->messages.verified, text));
		for (size_t t = 0; t < sizeof(times) / sizeof(times[0]); t++)
			if (percentile_interval_is_known(
				times[t].percentile, r->messages.verified))
				fprintf(file, "<td>%s</td>",
				    units_show_duration(times[t].ns, text));
			else
				fputs(TOO_FEW, file);
		fprintf(file, "<td>%s</td><td>", units_show_duration(r->max_ns, text));
		chart_text(file, r->verdict);
		fputs("</td></tr>\n", file);
	}
	fputs("</table></div>\n", file);
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
	for (size_t i = 0; i < result->server_count; i++)
		write_line(file, report_servers_server(result, i, line));
	write_line(file, spread);
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
	if (!aborted && named == 0)
		return;
	fputs("<h2>Connections</h2>\n<div id=\"connections\">\n", file);
	if (aborted)
		fputs("<p class=\"warn\">Closed: ", file);
	chart_text(file, report_connections_close(result, line));
	if (aborted)
		fputs("</p>\n", file);
	write_line(file, report_connections_wait(result, line));
	for (size_t i = 0; i < result->address_count; i++)
		write_line(
		    file, report_connections_address(&result->addresses[i], line));
	fputs("</div>\n", file);
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
	fputs("<h2>First lost connections</h2>\n", file);
	for (size_t i = 0; i < result->lost_connection_count; i++) {
		const struct result_lost_connection *lost =
		    &result->lost_connections[i];
		fputs("<p>", file);
		chart_text(file, report_connections_lost(lost, line));
		fputs("<br>\n", file);
		chart_text(file, report_connections_outstanding(lost, line));
		if (lost->waiting[0] != '\0')
			fputs("<br>\n", file);
		chart_text(file, lost->waiting);
		fputs("</p>\n", file);
	}
}

/* A value of the plan; NULL or "" if it was not given. */
static const char *
plan_value(
    const struct json_record_field *field, const struct result_plan *plan, char *buffer)
{
	const uint64_t *count = JSON_RECORD_AT(field, plan, const uint64_t);
	const double *real = JSON_RECORD_AT(field, plan, const double);
	switch (field->kind) {
	case JSON_RECORD_TEXT:
		return *JSON_RECORD_AT(field, plan, char *const);
	case JSON_RECORD_WORD: /* as --seed takes it */
		snprintf(buffer, UNITS_TEXT_MAX, "%" PRIu64, *count);
		return buffer;
	case JSON_RECORD_COUNT:
		if (*count == 0)
			return NULL;
		return strstr(field->name, "_ns") != NULL
		    ? units_show_duration(*count, buffer)
		    : units_show_count(*count, buffer);
	case JSON_RECORD_REAL:
		if (!(*real > 0))
			return NULL;
		units_show_count(result_whole(*real), buffer);
		return strcat(buffer, "/s"); /* all reals of a plan are rates */
	case JSON_RECORD_FLAG:
		return *JSON_RECORD_AT(field, plan, const bool) ? "yes" : NULL;
	default:
		return NULL;
	}
}

static void
write_plan(const struct result *result, FILE *file)
{
	char text[UNITS_TEXT_MAX];
	fputs("<h2>Plan</h2>\n<table class=\"left\" id=\"plan\">\n", file);
	for (const struct json_record_field *f = result_plan_fields; f->name != NULL;
	     f++) {
		const char *value = plan_value(f, &result->plan, text);
		if (value != NULL)
			row(file, f->name, value);
	}
	fputs("</table>\n", file);
}

static void
write_host(const struct result *result, FILE *file)
{
	const struct result_host *host = &result->host;
	char text[UNITS_TEXT_MAX];
	fputs("<h2>Client</h2>\n<table class=\"left\">\n", file);
	row(file, "host", host->hostname);
	row(file, "kernel", host->kernel);
	row(file, "CPUs", units_show_count(host->cpus, text));
	row(file, "CPU time, user",
	    units_show_duration(result_whole(host->cpu_user_s * 1e9), text));
	row(file, "CPU time, system",
	    units_show_duration(result_whole(host->cpu_sys_s * 1e9), text));
	row(file, "retransmits", units_show_count(host->retransmits, text));
	row(file, "listen overflows", units_show_count(host->listen_overflows, text));
	fputs("</table>\n", file);
}

int
report_html(const struct result *result, FILE *file)
{
	write_head(result, file);
	write_outcome(result, file);
	write_trust(result, file);
	write_ledger(result, file);
	write_cards(result, file);
	write_thresholds(result, file);
	write_search(result, file);
	write_latencies(result, file);
	report_charts_percentiles(result, file);
	report_charts_seconds(result, file);
	report_charts_losses(result, file);
	write_connections(result, file);
	write_servers(result, file);
	write_lost_connections(result, file);
	write_mismatches(result, file);
	write_ranks(result, file);
	write_plan(result, file);
	write_host(result, file);
	fputs("</body>\n</html>\n", file);
	return ferror(file) ? -1 : 0;
}
