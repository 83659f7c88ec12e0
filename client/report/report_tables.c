#include "client/report/report_tables.h"

#include <inttypes.h>
#include <string.h>

#include "lib/stats/percentile_interval.h"
#include "lib/units.h"
#include "client/report/chart.h"
#include "client/result/result_fields.h"

#define TOO_FEW "<td class=\"dim\" title=\"too few samples\">?</td>"

/* UINT64_MAX: not known. */
static void
write_time(uint64_t ns, FILE *file)
{
	char text[UNITS_TEXT_MAX];
	if (ns == UINT64_MAX)
		fputs(TOO_FEW, file);
	else
		fprintf(file, "<td>%s</td>", units_show_duration(ns, text));
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
	fputs("<tr><th scope=\"row\">", file);
	for (size_t i = 0; i < length; i++)
		fputc(name[i] == '_' ? ' ' : name[i], file);
	fputs("</th><td>", file);
	chart_text(file, value);
	fputs("</td></tr>\n", file);
}

void
report_tables_head(const struct result *result, FILE *file)
{
	const struct result_host *host = &result->host;
	char text[UNITS_TEXT_MAX];
	fputs("<table class=\"left\" id=\"head\">\n", file);
	row(file, "start", units_format_time(result->started_at_ns, 3, text));
	row(file, "duration",
	    units_show_duration(result_whole(result->elapsed_s * 1e9), text));
	row(file, "host", host->hostname != NULL ? host->hostname : "");
	row(file, "version", result->version);
	row(file, "command", result->command);
	for (size_t i = 0; i < result->labels.count; i++) {
		const struct label *label = &result->labels.items[i];
		fputs("<tr><th scope=\"row\">label ", file);
		chart_text(file, label->key);
		fputs("</th><td>", file);
		chart_text(file, label->value);
		fputs("</td></tr>\n", file);
	}
	fputs("</table>\n", file);
}

static void
write_latency_row(const struct result *result, enum latency_kind which, FILE *file)
{
	const struct histogram *h = result->latency[which];
	struct percentile_walk walk = { .is_value_only = false };
	char text[UNITS_TEXT_MAX], name[RESULT_LATENCY_NAME_MAX];
	if (histogram_count(h) == 0)
		return;
	fputs("<tr><th scope=\"row\">", file);
	chart_text(file, result_latency_name(result, (int)which, name));
	fputs("</th>", file);
	fprintf(file, "<td>%s</td>", units_show_duration(histogram_min(h), text));
	fprintf(file, "<td>%s</td>",
	    units_show_duration(result_whole(histogram_mean(h)), text));
	for (size_t i = 0; i < RESULT_PERCENTILES; i++) {
		struct percentile_interval c =
		    result_percentile_next(result, which, result_percentiles[i], &walk);
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

void
report_tables_latencies(const struct result *result, FILE *file)
{
	fputs(
	    "<h2>Latency</h2>\n<div class=\"scroll\"><table><tr><td></td><th scope=\"col\">min</th><th scope=\"col\">mean</th><th scope=\"col\">p50</th><th scope=\"col\">p90</th><th scope=\"col\">p99</th><th scope=\"col\">p99.9</th><th scope=\"col\">p99.99</th><th scope=\"col\">max</th><th scope=\"col\">count</th></tr>\n",
	    file);
	for (int i = 0; i < result_latency_count(result); i++)
		write_latency_row(result, (enum latency_kind)i, file);
	fputs(
	    "</table></div>\n<p class=\"dim\">response is measured from the intended send time, service from the actual one. ?: too few samples. The tooltip of a percentile shows its 95 % confidence interval.</p>\n",
	    file);
}

void
report_tables_thresholds(const struct result *result, FILE *file)
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

void
report_tables_search(const struct result *result, FILE *file)
{
	char rate[UNITS_TEXT_MAX], achieved[UNITS_TEXT_MAX];
	if (result->search_step_count == 0)
		return;
	fputs(
	    "<h2>Search</h2>\n<div class=\"scroll\"><table id=\"search\"><tr><th scope=\"col\">planned/s</th><th scope=\"col\">achieved/s</th><th scope=\"col\">p50</th><th scope=\"col\">p99</th><th scope=\"col\">max</th><th scope=\"col\">outcome</th><th scope=\"col\">trust</th></tr>\n",
	    file);
	for (size_t i = 0; i < result->search_step_count; i++) {
		const struct result_search_step *step = &result->search_steps[i];
		fprintf(file, "<tr><th scope=\"row\">%s</th><td>%s</td>",
		    units_show_count(result_whole(step->rate), rate),
		    units_show_count(result_whole(step->achieved), achieved));
		write_time(step->p50_ns, file);
		write_time(step->p99_ns, file);
		write_time(step->max_ns, file);
		fputs("<td>", file);
		chart_text(file, step->outcome);
		fputs("</td><td>", file);
		chart_text(file, step->verdict);
		fputs("</td></tr>\n", file);
	}
	fputs(
	    "</table></div>\n<p class=\"dim\">A rate is decided when two of its runs agree.</p>\n",
	    file);
}

void
report_tables_ranks(const struct result *result, FILE *file)
{
	char text[UNITS_TEXT_MAX];
	if (result->rank_count == 0)
		return;
	fputs(
	    "<h2>Results of each rank</h2>\n<div class=\"scroll\"><table><tr><th scope=\"col\">rank</th><th scope=\"col\">host</th><th scope=\"col\">verified</th><th scope=\"col\">p50</th><th scope=\"col\">p99</th><th scope=\"col\">p99.9</th><th scope=\"col\">max</th><th scope=\"col\">trust</th></tr>\n",
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

/* A row about a target or server. */
struct place {
	const char *name;
	uint64_t connections, messages, lost;
	uint64_t p50_ns, p99_ns; /* UINT64_MAX: not known */
};

static void
write_place(const struct place *place, FILE *file)
{
	char text[UNITS_TEXT_MAX];
	fputs("<tr><th scope=\"row\">", file);
	chart_text(file, place->name);
	fprintf(file, "</th><td>%s</td>", units_show_count(place->connections, text));
	fprintf(file, "<td>%s</td>", units_show_count(place->messages, text));
	fprintf(file, "<td%s>%s</td>", place->lost > 0 ? " class=\"bad\"" : "",
	    units_show_count(place->lost, text));
	write_time(place->messages > 0 ? place->p50_ns : UINT64_MAX, file);
	write_time(place->messages > 0 ? place->p99_ns : UINT64_MAX, file);
	fputs("</tr>\n", file);
}

static void
open_places(const char *id, const char *what, FILE *file)
{
	fprintf(file,
	    "<div class=\"scroll\"><table id=\"%s\"><tr><th scope=\"col\">%s</th><th scope=\"col\">connections</th><th scope=\"col\">messages</th><th scope=\"col\">lost</th><th scope=\"col\">p50</th><th scope=\"col\">p99</th></tr>\n",
	    id, what);
}

void
report_tables_targets(const struct result *result, FILE *file)
{
	fputs("<h2>Targets</h2>\n", file);
	open_places("targets", "target", file);
	for (size_t i = 0; i < result->target_count; i++) {
		const struct result_target *t = &result->targets[i];
		const struct place place = { t->name, t->established, t->verified,
			t->lost, t->p50_ns, t->p99_ns };
		write_place(&place, file);
	}
	fputs("</table></div>\n", file);
}

/* The latency of a server is that of the step with its name. */
static uint64_t
server_percentile(const struct result *result, const char *name, double percentile)
{
	for (size_t i = 0; i < result->step_count; i++) {
		if (strcmp(result->steps[i], name) != 0)
			continue;
		struct percentile_interval found = result_percentile(
		    result, (enum latency_kind)(LATENCY_STEP_FIRST + i), percentile);
		return found.known ? found.value : UINT64_MAX;
	}
	return UINT64_MAX;
}

void
report_tables_servers(const struct result *result, FILE *file)
{
	if (result->server_count == 0)
		return;
	open_places("server_instances", "server", file);
	for (size_t i = 0; i < result->server_count; i++) {
		const struct result_server *s = &result->servers[i];
		const struct place place = { s->name, s->connections, s->messages,
			s->lost, server_percentile(result, s->name, 50),
			server_percentile(result, s->name, 99) };
		write_place(&place, file);
	}
	fputs("</table></div>\n", file);
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

void
report_tables_plan(const struct result *result, FILE *file)
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

void
report_tables_host(const struct result *result, FILE *file)
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
