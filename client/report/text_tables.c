#include "client/report/text_tables.h"

#include <inttypes.h>
#include <string.h>

#include "lib/stats/percentile_interval.h"
#include "lib/units.h"
#include "client/report/text_layout.h"

#define HOST_NAME_WIDTH 22
#define TARGET_NAME_WIDTH 26
#define LATENCY_NAME_WIDTH 11
#define LATENCY_LABEL "  %-11s" /* before a row of the table of latencies */
#define NOT_KNOWN "?"

static const char *
format_known(uint64_t ns, uint64_t messages, char *buffer)
{
	return ns == UINT64_MAX || messages == 0 ? NOT_KNOWN
						 : units_show_duration(ns, buffer);
}

void
text_tables_targets(const struct result *result, FILE *file)
{
	char connections[UNITS_TEXT_MAX], messages[UNITS_TEXT_MAX],
	    lost[UNITS_TEXT_MAX], p50[UNITS_TEXT_MAX], p99[UNITS_TEXT_MAX];
	if (result->target_count < 2)
		return;
	fprintf(file, "\n  %-26s %11s %12s %8s %8s %8s\n", "target", "connections",
	    "messages", "lost", "p50", "p99");
	for (size_t i = 0; i < result->target_count; i++) {
		const struct result_target *t = &result->targets[i];
		bool is_long = strlen(t->name) > TARGET_NAME_WIDTH;
		if (is_long)
			fprintf(file, "  %s\n", t->name);
		fprintf(file, "  %-26s %11s %12s %8s %8s %8s\n", is_long ? "" : t->name,
		    units_show_count(t->established, connections),
		    units_show_count(t->verified, messages),
		    units_show_count(t->lost, lost),
		    format_known(t->p50_ns, t->verified, p50),
		    format_known(t->p99_ns, t->verified, p99));
	}
}

static bool
print_latency(const struct result *result, enum latency_kind which, FILE *file)
{
	const struct histogram *h = result->latency[which];
	char text[UNITS_TEXT_MAX], number[UNITS_TEXT_MAX];
	char name[RESULT_LATENCY_NAME_MAX];
	bool all_known = true;
	if (histogram_count(h) == 0)
		return true;
	const char *shown = result_latency_name(result, (int)which, name);
	/* A long name of a step has a line of its own. */
	bool is_long = strlen(shown) > LATENCY_NAME_WIDTH;
	if (is_long)
		fprintf(file, "  %s\n", shown);
	fprintf(file, LATENCY_LABEL "%8s", is_long ? "" : shown,
	    units_show_duration(histogram_min(h), text));
	for (size_t i = 0; i < RESULT_PERCENTILES; i++) {
		struct percentile_interval c =
		    result_percentile(result, which, result_percentiles[i]);
		all_known = all_known && c.known;
		fprintf(file, "%8s",
		    c.known ? units_show_duration(c.value, text) : NOT_KNOWN);
	}
	fprintf(file, "%8s%11s\n", units_show_duration(histogram_max(h), text),
	    units_show_count(histogram_count(h), number));
	return all_known;
}

/* The confidence intervals of the response latency, which people read first. */
static void
print_intervals(const struct result *result, FILE *file)
{
	char low[UNITS_TEXT_MAX], high[UNITS_TEXT_MAX];
	bool first = true;
	for (size_t i = 0; i < RESULT_PERCENTILES; i++) {
		struct percentile_interval c =
		    result_percentile(result, LATENCY_RESPONSE, result_percentiles[i]);
		if (!c.has_interval || result_percentiles[i] < 99)
			continue;
		if (first)
			fprintf(file, TEXT_LABEL "95 %% confidence: ", "");
		else
			fputs(", ", file);
		fprintf(file, "p%g is between %s and %s", result_percentiles[i],
		    units_show_duration(c.low, low), units_show_duration(c.high, high));
		first = false;
	}
	if (!first)
		fputc('\n', file);
}

/* Consecutive responses are alike: many may tell no more than a few. */
static void
print_too_few(const struct result *result, FILE *file)
{
	uint64_t values = histogram_count(result->latency[LATENCY_RESPONSE]);
	double effective = result_effective_count(result, LATENCY_RESPONSE);
	char all[UNITS_TEXT_MAX], worth[UNITS_TEXT_MAX];
	fprintf(file, TEXT_LABEL "%s: too few samples", "", NOT_KNOWN);
	if (effective > 0 && effective < (double)values / 2)
		fprintf(file,
		    "; latency varied so much over time that the %s responses tell no more than %s independent ones",
		    units_show_count(values, all),
		    units_show_count(result_whole(effective), worth));
	fputc('\n', file);
}

void
text_tables_latencies(const struct result *result, FILE *file)
{
	bool all_known = true, any = false;
	for (int i = 0; i < result_latency_count(result); i++)
		any = any || histogram_count(result->latency[i]) > 0;
	if (!any)
		return;
	fprintf(file, "\n" LATENCY_LABEL "%8s%8s%8s%8s%8s%8s%8s%11s\n", "latency",
	    "min", "p50", "p90", "p99", "p99.9", "p99.99", "max", "count");
	for (int i = 0; i < result_latency_count(result); i++)
		all_known =
		    print_latency(result, (enum latency_kind)i, file) && all_known;
	print_intervals(result, file);
	if (result_lost(&result->messages) > 0)
		fprintf(file,
		    TEXT_LABEL "lost messages are counted in the row \"age\" only\n",
		    "");
	if (!all_known)
		print_too_few(result, file);
}

static const char *
format_percentile(
    const struct result_rank *rank, double percentile, uint64_t value_ns, char *buffer)
{
	return percentile_interval_is_known(percentile, rank->messages.verified)
	    ? units_show_duration(value_ns, buffer)
	    : NOT_KNOWN;
}

void
text_tables_ranks(const struct result *result, FILE *file)
{
	char sent[UNITS_TEXT_MAX], p50[UNITS_TEXT_MAX], p99[UNITS_TEXT_MAX],
	    p999[UNITS_TEXT_MAX], max[UNITS_TEXT_MAX];
	bool all_known = true;
	if (result->rank_count == 0)
		return;
	fprintf(file, "\n  %-6s%-22s %13s %8s %8s %8s %8s\n", "rank", "host",
	    "verified", "p50", "p99", "p99.9", "max");
	for (size_t i = 0; i < result->rank_count; i++) {
		const struct result_rank *rank = &result->ranks[i];
		all_known = all_known &&
		    percentile_interval_is_known(99.9, rank->messages.verified);
		fprintf(file, "  %-5" PRIu64 " %-22s", rank->rank, rank->hostname);
		if (strlen(rank->hostname) > HOST_NAME_WIDTH)
			fprintf(file, "\n  %28s", "");
		fprintf(file, " %13s %8s %8s %8s %8s\n",
		    units_show_count(rank->messages.verified, sent),
		    format_percentile(rank, 50, rank->p50_ns, p50),
		    format_percentile(rank, 99, rank->p99_ns, p99),
		    format_percentile(rank, 99.9, rank->p999_ns, p999),
		    units_show_duration(rank->max_ns, max));
	}
	if (!all_known)
		fprintf(file, TEXT_LABEL "%s: too few samples\n", "", NOT_KNOWN);
}
