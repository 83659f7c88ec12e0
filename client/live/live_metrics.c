#include "client/live/live_metrics.h"

#include <stdlib.h>
#include <string.h>

#include "lib/prometheus.h"
#include "lib/xmalloc.h"
#include "client/live/metric_series.h"
#include "client/result/result_fields.h"
#include "client/result/verdict.h"

/* Upper bounds of the buckets of a latency, in ns: from 10 us to 60 s. */
static const uint64_t buckets[] = { 10000, 25000, 50000, 100000, 250000, 500000,
	1000000, 2500000, 5000000, 10000000, 25000000, 50000000, 100000000, 250000000,
	500000000, 1000000000, 2500000000, 5000000000, 10000000000, 30000000000,
	60000000000 };
#define BUCKET_COUNT (sizeof(buckets) / sizeof(buckets[0]))

/* All of the result but the plan, which does not change. */
static void
write_result(const struct metric_writer *writer, const struct result *result)
{
	const struct metric_rows all = { .items = result, .count = 1 };
	for (const struct json_record_field *f = result_fields; f->name != NULL; f++) {
		const struct json_record_field own[] = { *f, { .name = NULL } };
		if (f->part != result_plan_fields)
			metric_fields(writer, own, &all, "yodel");
	}
}

static void
write_list(const struct metric_writer *writer, const struct result_list *list,
    const struct result *result, const char *prefix, const char *const *labels)
{
	size_t count = *result_list_count(list, result);
	if (count == 0)
		return;
	bool *is_repeated = xcalloc(count, sizeof(is_repeated[0]));
	struct metric_rows rows = { .items = *result_list_items(list, result),
		.count = count,
		.row_bytes = list->row_bytes,
		.labels = labels,
		.fields = list->fields };
	metric_find_repeated(&rows, is_repeated);
	rows.is_repeated = is_repeated;
	metric_fields(writer, list->fields, &rows, prefix);
	free(is_repeated);
}

/* The lists of which each row is a series of its own. */
static void
write_lists(const struct metric_writer *writer, const struct result *result)
{
	static const struct {
		const char *list, *prefix;
		const char *labels[2 * METRIC_LABELS_MAX + 1];
	} lists[] = {
		{ "targets", METRIC_PREFIX "target", { "target", "name" } },
		{ "addresses", METRIC_PREFIX "address",
		    { "target", "target", "address", "address" } },
		{ "losses", METRIC_PREFIX "losses",
		    { "reason", "why", "idle", "idle" } },
		{ "servers", METRIC_PREFIX "server", { "server", "name" } },
		{ "processes", METRIC_PREFIX "process", { "process", "process" } },
	};
	for (const struct result_list *list = result_lists; list->name != NULL; list++)
		for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
			if (strcmp(list->name, lists[i].list) == 0)
				write_list(writer, list, result, lists[i].prefix,
				    lists[i].labels);
}

static void
write_histogram(const struct metric_writer *writer, const char *name, const char *label,
    const char *value, const struct histogram *h)
{
	char own[METRIC_NAME_MAX], bound[24];
	struct metric_label labels[] = { { label, value }, { "le", bound },
		{ NULL, NULL } };
	struct histogram_cursor cursor = { 0 };
	uint64_t below = 0;
	bool more = histogram_next(h, &cursor);
	snprintf(own, sizeof(own), "%s_bucket", name);
	for (size_t i = 0; i <= BUCKET_COUNT; i++) {
		bool is_last = i == BUCKET_COUNT;
		while (more && (is_last || cursor.value <= buckets[i])) {
			below = cursor.cumulative;
			more = histogram_next(h, &cursor);
		}
		if (is_last)
			snprintf(bound, sizeof(bound), "+Inf");
		else
			snprintf(
			    bound, sizeof(bound), "%.12g", (double)buckets[i] / 1e9);
		metric_series(writer, own, labels, (double)below);
	}
	snprintf(own, sizeof(own), "%s_sum", name);
	metric_series_labelled(
	    writer, own, label, value, histogram_mean(h) * (double)below / 1e9);
	snprintf(own, sizeof(own), "%s_count", name);
	metric_series_labelled(writer, own, label, value, (double)below);
}

static void
write_latencies(const struct metric_writer *writer, const struct result *result)
{
	prometheus_family(writer->out, METRIC_PREFIX "latency_seconds", "histogram",
	    "latencies of the measured messages and of connections");
	for (int i = 0; i < LATENCY_KIND_COUNT; i++)
		write_histogram(writer, METRIC_PREFIX "latency_seconds", "latency",
		    threshold_latency_names[i], result->latency[i]);
	if (result->step_count == 0)
		return;
	prometheus_family(writer->out, METRIC_PREFIX "step_latency_seconds",
	    "histogram", "latencies by the step of a conversation, or by server");
	for (size_t i = 0; i < result->step_count; i++)
		write_histogram(writer, METRIC_PREFIX "step_latency_seconds", "step",
		    result->steps[i], result->latency[LATENCY_STEP_FIRST + i]);
}

static void
write_gauge(const struct metric_writer *writer, const char *name, const char *help,
    double value)
{
	prometheus_family(writer->out, name, "gauge", help);
	metric_series(writer, name, NULL, value);
}

static void
write_verdict(const struct metric_writer *writer, const struct live_snapshot *snapshot)
{
	const struct result *result = snapshot->result;
	static const char verdict[] = METRIC_PREFIX "trust_verdict",
			  phase[] = METRIC_PREFIX "phase",
			  passed[] = METRIC_PREFIX "threshold_passed";
	prometheus_family(
	    writer->out, verdict, "gauge", "1 for the trust in the measurement so far");
	for (int i = 0; result_verdict_names[i] != NULL; i++)
		metric_series_labelled(writer, verdict, "verdict",
		    result_verdict_names[i], (int)result->trust.verdict == i);
	prometheus_family(
	    writer->out, phase, "gauge", "1 for the phase that the run is in");
	for (int i = 0; i < LIVE_PHASE_COUNT; i++)
		metric_series_labelled(writer, phase, "phase", live_phase_names[i],
		    (int)snapshot->phase == i);
	if (result->threshold_count > 0)
		prometheus_family(
		    writer->out, passed, "gauge", "1 if the threshold is met so far");
	for (size_t i = 0; i < result->threshold_count; i++)
		metric_series_labelled(writer, passed, "threshold",
		    result->thresholds[i].threshold.text, result->thresholds[i].passed);
	write_gauge(writer, METRIC_PREFIX "exit_status",
	    "exit status that the figures so far lead to", verdict_exit_status(result));
}

/* Client and servers are read at different times: only the end can tell whether their
 * counters agree. */
static void
write_ledger(const struct metric_writer *writer, const struct result *result)
{
	const struct metric_rows all = { .items = &result->ledger, .count = 1 };
	if (!result->has_ledger)
		return;
	for (const struct json_record_field *f = result_ledger_fields; f->name != NULL;
	     f++) {
		const struct json_record_field own[] = { *f, { .name = NULL } };
		bool is_judgement = strcmp(f->name, "consistent") == 0 ||
		    strcmp(f->name, "unexplained") == 0;
		if (!is_judgement || !result->is_running)
			metric_fields(writer, own, &all, METRIC_PREFIX "ledger");
	}
}

void
live_metrics_write(const struct live_snapshot *snapshot, FILE *out)
{
	const struct result *result = snapshot->result;
	struct metric_writer writer = metric_writer_start(&result->labels, out);
	prometheus_family(
	    out, METRIC_PREFIX "build_info", "gauge", "1, with the version");
	metric_series_labelled(
	    &writer, METRIC_PREFIX "build_info", "yodel_version", YODEL_VERSION, 1);
	write_gauge(&writer, METRIC_PREFIX "collected_timestamp_seconds",
	    "time of these figures, in seconds since the epoch",
	    (double)snapshot->time_ns / 1e9);
	write_gauge(&writer, METRIC_PREFIX "connections_open", "open connections",
	    (double)snapshot->connections_open);
	write_result(&writer, result);
	write_lists(&writer, result);
	write_latencies(&writer, result);
	write_ledger(&writer, result);
	write_verdict(&writer, snapshot);
	metric_writer_finish(&writer);
}
