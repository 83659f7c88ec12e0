#include "client/live/live_event.h"

#include <jansson.h>
#include <math.h>

#include "lib/json/json_record.h"
#include "lib/units.h"
#include "lib/xmalloc.h"
#include "client/result/result_fields.h"
#include "client/result/verdict.h"

#define N(number) ((json_int_t)(number))

const char *const live_phase_names[] = { "connecting", "warmup", "running", "draining",
	"finished" };

static json_t *
time_of(uint64_t ns)
{
	char text[UNITS_TEXT_MAX];
	return json_string(units_format_time(ns, 3, text));
}

static json_t *
connections_of(const struct live_snapshot *snapshot)
{
	const struct result_connections *c = &snapshot->result->connections;
	return json_pack("{sI sI sI sI sI sI}", "requested", N(c->requested), "open",
	    N(snapshot->connections_open), "established", N(c->established), "failed",
	    N(result_failed(c->failed)), "reconnects", N(c->reconnects), "lost",
	    N(c->lost));
}

/* The last complete second; null: none yet. */
static json_t *
second_of(const struct result *result)
{
	for (size_t i = result->second_count; i > 0; i--)
		if (sampler_second_is_whole(&result->seconds[i - 1]))
			return json_record_write(
			    result_second_fields, &result->seconds[i - 1]);
	return json_null();
}

/* A percentile that is not known is null. */
static json_t *
response_of(const struct result *result)
{
	const struct histogram *h = result->latency[LATENCY_RESPONSE];
	json_t *to = json_pack("{sI}", "count", N(histogram_count(h)));
	char key[32];
	for (size_t i = 0; i < RESULT_PERCENTILES; i++) {
		struct percentile_interval c =
		    result_percentile(result, LATENCY_RESPONSE, result_percentiles[i]);
		snprintf(key, sizeof(key), "%s_ns", result_percentile_names[i]);
		json_record_put(
		    &to, key, c.known ? json_integer(N(c.value)) : json_null());
	}
	json_record_put(&to, "max_ns", json_integer(N(histogram_max(h))));
	return to;
}

static json_t *
thresholds_of(const struct result *result)
{
	json_t *to = json_array();
	for (size_t i = 0; i < result->threshold_count; i++) {
		const struct threshold_outcome *t = &result->thresholds[i];
		json_record_append(&to,
		    json_pack("{ss sb so}", "threshold", t->threshold.text, "passed",
			(int)t->passed, "value",
			isfinite(t->value) ? json_real(t->value) : json_null()));
	}
	return to;
}

/* Counters of the servers; null without --ledger. */
static json_t *
ledger_of(const struct result *result)
{
	const struct server_totals *server = &result->ledger.server;
	if (!result->has_ledger)
		return json_null();
	return json_pack("{so sI sI sI sI sI}", "consistent",
	    result->is_running ? json_null() : json_boolean(result->ledger.consistent),
	    "connections_accepted", N(server->connections_accepted),
	    "messages_received", N(server->messages_received), "replies_sent",
	    N(server->replies_sent), "bytes_received", N(server->bytes_received),
	    "bytes_sent", N(server->bytes_sent));
}

/* The step that goes on; null without --search and at the end. */
static json_t *
search_of(const struct live_snapshot *snapshot)
{
	if (snapshot->step == 0)
		return json_null();
	return json_pack("{sI sf}", "step", N(snapshot->step), "rate", snapshot->rate);
}

static void
put_figures(json_t **root, const struct live_snapshot *snapshot)
{
	const struct result *result = snapshot->result;
	json_record_put(root, "labels", result_labels_json(&result->labels));
	json_record_put(root, "search", search_of(snapshot));
	json_record_put(root, "elapsed_s", json_real(result->elapsed_s));
	json_record_put(root, "connections", connections_of(snapshot));
	json_record_put(root, "messages",
	    json_record_write(result_messages_fields, &result->messages));
	json_record_put(root, "messages_per_s", json_real(result->messages_per_s));
	json_record_put(root, "second", second_of(result));
	json_record_put(root, "response", response_of(result));
	json_record_put(root, "trust", result_trust_json(&result->trust));
	json_record_put(root, "thresholds", thresholds_of(result));
	json_record_put(root, "ledger", ledger_of(result));
	json_record_put(root, "exit_status",
	    snapshot->phase == LIVE_FINISHED ? json_integer(verdict_exit_status(result))
					     : json_null());
}

char *
live_event_format(const struct live_snapshot *snapshot)
{
	json_t *root =
	    json_pack("{ss ss}", "schema", LIVE_EVENT_SCHEMA, "version", YODEL_VERSION);
	json_record_put(&root, "time", time_of(snapshot->time_ns));
	json_record_put(&root, "phase", json_string(live_phase_names[snapshot->phase]));
	put_figures(&root, snapshot);
	char *text =
	    xmalloc_check(json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(12)));
	json_decref(root);
	return text;
}
