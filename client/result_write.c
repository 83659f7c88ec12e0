/*
 * The JSON of a result. Its schema stands in client/result.schema.json, its reader in
 * client/result_read.c: a key is in all three, or in none.
 *
 * A value that could not be made is NULL, and whoever takes it passes the failure on:
 * only the last one is looked at.
 */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/histogram_codec.h"

#include "client/confidence.h"
#include "client/result.h"

#define N(number) ((json_int_t)(number))

static const struct {
	const char *name;
	double percentile;
} known_percentiles[] = { { "p50", 50 }, { "p90", 90 }, { "p99", 99 }, { "p999", 99.9 },
	{ "p9999", 99.99 } };
#define PERCENTILES (sizeof(known_percentiles) / sizeof(known_percentiles[0]))

static json_t *
real(double number)
{
	return isfinite(number) ? json_real(number) : json_null();
}

/* A text that came from outside need not be UTF-8. */
static json_t *
text_of(const char *text)
{
	json_t *value = text == NULL ? json_null() : json_string(text);

	return value != NULL ? value : json_string("?");
}

static json_t *
time_of(uint64_t ns)
{
	time_t seconds = (time_t)(ns / 1000000000);
	char text[64], whole[32];
	struct tm parts;

	if (gmtime_r(&seconds, &parts) == NULL)
		return NULL;
	strftime(whole, sizeof(whole), "%Y-%m-%dT%H:%M:%S", &parts);
	snprintf(text, sizeof(text), "%s.%09lluZ", whole,
	    (unsigned long long)(ns % 1000000000));
	return json_string(text);
}

/* The object, or NULL when one of its members could not be set. */
static json_t *
whole(json_t *value, int status)
{
	if (status == 0)
		return value;
	json_decref(value);
	return NULL;
}

static json_t *
plan_of(const struct result_plan *plan)
{
	json_t *to = json_object(), *targets = json_array();
	int status = 0;

	for (size_t i = 0; i < plan->target_count; i++)
		status |= json_array_append_new(targets, text_of(plan->targets[i]));
	status |= json_object_set_new(to, "targets", targets);
#define X(name) status |= json_object_set_new(to, #name, text_of(plan->name));
	RESULT_PLAN_TEXTS(X)
#undef X
	status |= json_object_set_new(to, "seed", json_integer(N(plan->seed)));
#define X(name) status |= json_object_set_new(to, #name, json_integer(N(plan->name)));
	RESULT_PLAN_COUNTS(X)
#undef X
#define X(name) status |= json_object_set_new(to, #name, real(plan->name));
	RESULT_PLAN_REALS(X)
#undef X
#define X(name) status |= json_object_set_new(to, #name, json_boolean(plan->name));
	RESULT_PLAN_FLAGS(X)
#undef X
	return whole(to, status);
}

static json_t *
counts_of(const char *const *names, const uint64_t *counts)
{
	json_t *to = json_object();
	int status = 0;

	for (int i = 0; names[i] != NULL; i++)
		status |= json_object_set_new(to, names[i], json_integer(N(counts[i])));
	return whole(to, status);
}

static json_t *
connections_of(const struct result_connections *c)
{
	return json_pack("{sI sI sI so sI sI sI sI}", "requested", N(c->requested),
	    "attempted", N(c->attempted), "established", N(c->established), "failed",
	    counts_of(tally_connect_failure_names, c->failed), "reconnects",
	    N(c->reconnects), "lost", N(c->lost), "reset", N(c->reset), "first",
	    N(c->first));
}

static json_t *
target_of(const struct result_target *t)
{
	return json_pack("{so sI so so}", "name", text_of(t->name), "established",
	    N(t->established), "failed",
	    counts_of(tally_connect_failure_names, t->failed), "last_error",
	    text_of(t->last_error));
}

static json_t *
ports_of(const struct result_ports *p)
{
	return json_pack("{sI sI sI sI}", "available", N(p->available), "held_max",
	    N(p->held_max), "time_wait_before", N(p->time_wait_before), "time_wait_max",
	    N(p->time_wait_max));
}

static json_t *
messages_of(const struct result_messages *m)
{
	return json_pack("{sI sI sI so sI}", "sent", N(m->sent), "verified",
	    N(m->verified), "wrong", N(m->wrong), "lost",
	    counts_of(tally_loss_names, m->lost), "in_flight", N(m->in_flight));
}

static json_t *
intervals_of(const struct histogram *h, double effective)
{
	json_t *to = json_object();
	int status = 0;

	for (size_t i = 0; i < PERCENTILES; i++) {
		struct confidence c =
		    confidence_of(h, known_percentiles[i].percentile, effective);

		status |= json_object_set_new(to, known_percentiles[i].name,
		    c.known
			? json_pack("{sI sI}", "low_ns", N(c.low), "high_ns", N(c.high))
			: json_null());
	}
	return whole(to, status);
}

static json_t *
latency_of(const struct histogram *h, double effective)
{
	char *text = histogram_codec_encode(h), key[32];
	json_t *to;
	int status = 0;

	if (text == NULL)
		return NULL;
	to = json_pack("{sI sI sf sf}", "count", N(histogram_count(h)), "min_ns",
	    N(histogram_min(h)), "mean_ns", histogram_mean(h), "stddev_ns",
	    histogram_stddev(h));
	for (size_t i = 0; i < PERCENTILES; i++) {
		snprintf(key, sizeof(key), "%s_ns", known_percentiles[i].name);
		status |= json_object_set_new(to, key,
		    json_integer(
			N(histogram_percentile(h, known_percentiles[i].percentile))));
	}
	status |= json_object_update_new(to,
	    json_pack("{sI sI sf so ss}", "max_ns", N(histogram_max(h)), "dropped",
		N(histogram_dropped(h)), "effective_count", effective, "intervals95",
		intervals_of(h, effective), "hdr", text));
	free(text);
	return whole(to, status);
}

static json_t *
latencies_of(const struct result *result)
{
	json_t *to = json_object();
	int status = 0;

	for (int i = 0; i < TALLY_HISTOGRAM_COUNT; i++) {
		const struct histogram *h = result->latency[i];
		double effective = i == TALLY_RESPONSE ? result_effective_count(result)
						       : (double)histogram_count(h);

		status |= json_object_set_new(
		    to, tally_histogram_names[i], latency_of(h, effective));
	}
	return whole(to, status);
}

static const char *
hex(const uint8_t *data, uint32_t length, char *buffer)
{
	buffer[0] = '\0';
	for (uint32_t i = 0; i < length && i < TALLY_WINDOW_MAX; i++)
		snprintf(buffer + 2 * (size_t)i, 3, "%02x", data[i]);
	return buffer;
}

static json_t *
mismatch_of(const struct tally_mismatch *m)
{
	char expected[2 * TALLY_WINDOW_MAX + 1], got[2 * TALLY_WINDOW_MAX + 1];

	return json_pack("{sI sI sI sI ss ss so}", "connection", N(m->connection),
	    "offset", N(m->offset), "message", N(m->message), "answer_offset",
	    N(m->answer_offset), "expected",
	    hex(m->expected, m->expected_length, expected), "got",
	    hex(m->got, m->got_length, got), "looks_like", text_of(m->looks_like));
}

static json_t *
threshold_of(const struct threshold_outcome *t)
{
	return json_pack("{ss sb sb so so}", "threshold", t->threshold.text, "holds",
	    (int)t->holds, "known", (int)t->known, "value", real(t->value), "limit",
	    real(t->threshold.limit));
}

static json_t *
trust_of(const struct result_trust *trust)
{
	json_t *reasons = json_array();
	int status = 0;

	for (size_t i = 0; i < trust->reason_count; i++)
		status |= json_array_append_new(reasons, text_of(trust->reasons[i]));
	return json_pack("{ss so}", "verdict", result_verdict_names[trust->verdict],
	    "reasons", whole(reasons, status));
}

static json_t *
process_of(const struct result_process *p)
{
	return json_pack("{sI sI sI sI sI sf sf sf sI sb}", "process", N(p->process),
	    "pid", N(p->pid), "connections", N(p->connections), "sent", N(p->sent),
	    "verified", N(p->verified), "cpu_user_s", p->cpu_user_s, "cpu_sys_s",
	    p->cpu_sys_s, "cpu_share", p->cpu_share, "loop_lag_max_ns",
	    N(p->loop_lag_max_ns), "died", (int)p->died);
}

/* A percentile that is not known is null. */
static json_t *
known(uint64_t number)
{
	return number == UINT64_MAX ? json_null() : json_integer(N(number));
}

static json_t *
second_of(const struct result_second *s)
{
	return json_pack("{sf sf sI sI sI sI sI sI so so so so sI}", "at_s", s->at_s,
	    "length_s", s->length_s, "connections_open", N(s->connections_open), "sent",
	    N(s->sent), "verified", N(s->verified), "wrong", N(s->wrong), "lost",
	    N(s->lost), "count", N(s->count), "mean_ns", real(s->mean_ns), "p50_ns",
	    known(s->p50_ns), "p90_ns", known(s->p90_ns), "p99_ns", known(s->p99_ns),
	    "max_ns", N(s->max_ns));
}

static json_t *
rank_of(const struct result_rank *r)
{
	return json_pack("{sI so so sf sf so sI sI sI sI sI sI so so}", "rank",
	    N(r->rank), "hostname", text_of(r->hostname), "started_at",
	    text_of(r->started_at), "elapsed_s", r->elapsed_s, "messages_per_s",
	    r->messages_per_s, "messages", messages_of(&r->messages), "p50_ns",
	    N(r->p50_ns), "p90_ns", N(r->p90_ns), "p99_ns", N(r->p99_ns), "p999_ns",
	    N(r->p999_ns), "p9999_ns", N(r->p9999_ns), "max_ns", N(r->max_ns),
	    "verdict", text_of(r->verdict), "reasons", text_of(r->reasons));
}

static json_t *
host_of(const struct result_host *host)
{
	return json_pack("{so so sI sf sf sI sI sI sI sI}", "hostname",
	    text_of(host->hostname), "kernel", text_of(host->kernel), "cpus",
	    N(host->cpus), "cpu_user_s", host->cpu_user_s, "cpu_sys_s", host->cpu_sys_s,
	    "memory_bytes", N(host->memory_bytes), "retransmits", N(host->retransmits),
	    "host_retransmits", N(host->host_retransmits), "listen_overflows",
	    N(host->listen_overflows), "listen_drops", N(host->listen_drops));
}

/* An array of the JSON of each element. */
#define ARRAY_OF(name, type, make)                                                     \
	static json_t *name(const type *items, size_t count)                           \
	{                                                                              \
		json_t *to = json_array();                                             \
		int status = 0;                                                        \
		for (size_t i = 0; i < count; i++)                                     \
			status |= json_array_append_new(to, make(&items[i]));          \
		return whole(to, status);                                              \
	}
ARRAY_OF(targets_of, struct result_target, target_of)
ARRAY_OF(mismatches_of, struct tally_mismatch, mismatch_of)
ARRAY_OF(thresholds_of, struct threshold_outcome, threshold_of)
ARRAY_OF(processes_of, struct result_process, process_of)
ARRAY_OF(seconds_of, struct result_second, second_of)
ARRAY_OF(ranks_of, struct result_rank, rank_of)

/* The messages with what goes beyond the equation. */
static json_t *
measured_of(const struct result *result)
{
	json_t *to = messages_of(&result->messages);

	return whole(to,
	    json_object_update_new(to,
		json_pack("{sI sI sI}", "due", N(result->messages_due), "late",
		    N(result->messages_late), "oldest_lost_ns",
		    N(result->oldest_lost_ns))));
}

static json_t *
result_of(const struct result *result)
{
	json_t *root = json_pack("{ss ss so so sf sb si}", "schema", RESULT_SCHEMA,
	    "version", YODEL_VERSION, "plan", plan_of(&result->plan), "started_at",
	    time_of(result->started_at_ns), "elapsed_s", result->elapsed_s,
	    "interrupted", (int)result->interrupted, "exit_status",
	    result_exit_status(result));
	int status = json_object_update_new(root,
	    json_pack("{so so so s{sI sI sI} s{so so} so}", "connections",
		connections_of(&result->connections), "messages", measured_of(result),
		"warmup", messages_of(&result->warmup), "bytes", "sent",
		N(result->bytes_sent), "received", N(result->bytes_received), "surplus",
		N(result->bytes_surplus), "rates", "messages_per_s",
		real(result->messages_per_s), "connections_per_s",
		real(result->connections_per_s), "latency", latencies_of(result)));

	status |= json_object_update_new(root,
	    json_pack("{so so so so so so so}", "mismatches",
		mismatches_of(result->mismatches, result->mismatch_count), "thresholds",
		thresholds_of(result->thresholds, result->threshold_count), "trust",
		trust_of(&result->trust), "host", host_of(&result->host), "processes",
		processes_of(result->processes, result->process_count), "seconds",
		seconds_of(result->seconds, result->second_count), "ranks",
		ranks_of(result->ranks, result->rank_count)));
	status |= json_object_update_new(root,
	    json_pack("{so so}", "targets",
		targets_of(result->targets, result->target_count), "ports",
		ports_of(&result->ports)));
	if (result->ledger != NULL)
		status |= json_object_set_new(
		    root, "ledger", json_loads(result->ledger, 0, NULL));
	return whole(root, status);
}

int
result_write_json(const struct result *result, FILE *file)
{
	json_t *root = result_of(result);
	int status;

	if (root == NULL) {
		errno = ENOMEM;
		return -1;
	}
	status = json_dumpf(root, file, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
	if (status == 0 && (fputc('\n', file) == EOF || fflush(file) != 0))
		status = -1;
	json_decref(root);
	return status;
}
