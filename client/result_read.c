/*
 * Reads what client/result_write.c writes. What a version before this one did not write
 * is taken as 0; what is there must be of its kind.
 */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/histogram_codec.h"

#include "client/json_reader.h"
#include "client/result.h"
#include "client/result_read_rows.h"
#include "client/trust.h"

static void
read_plan(struct json_reader *reader, const json_t *from, struct result_plan *plan)
{
	const json_t *targets =
	    json_reader_member(reader, from, "plan", "targets", JSON_ARRAY);
	const json_t *target;
	size_t i;

	plan->targets =
	    json_reader_room(reader, targets, "plan.targets", sizeof(char *));
	json_array_foreach(targets, i, target)
	{
		if (!json_is_string(target))
			json_reader_fail(reader, "plan", "targets", "wanted strings");
		else if (plan->targets != NULL &&
		    (plan->targets[plan->target_count] =
			    strdup(json_string_value(target))) != NULL)
			plan->target_count++;
	}
#define X(name) plan->name = json_reader_text(reader, from, "plan", #name);
	RESULT_PLAN_TEXTS(X)
#undef X
	plan->seed = json_reader_word(reader, from, "plan", "seed");
#define X(name) plan->name = json_reader_count(reader, from, "plan", #name);
	RESULT_PLAN_COUNTS(X)
#undef X
#define X(name) plan->name = json_reader_real(reader, from, "plan", #name);
	RESULT_PLAN_REALS(X)
#undef X
#define X(name) plan->name = json_reader_flag(reader, from, "plan", #name);
	RESULT_PLAN_FLAGS(X)
#undef X
}

static void
read_counts(struct json_reader *reader, const json_t *from, const char *where,
    const char *const *names, uint64_t *ret)
{
	for (int i = 0; names[i] != NULL; i++)
		ret[i] = json_reader_count(reader, from, where, names[i]);
}

static void
read_connections(
    struct json_reader *reader, const json_t *from, struct result_connections *ret)
{
	static const char where[] = "connections";

	ret->requested = json_reader_count(reader, from, where, "requested");
	ret->attempted = json_reader_count(reader, from, where, "attempted");
	ret->established = json_reader_count(reader, from, where, "established");
	ret->reconnects = json_reader_count(reader, from, where, "reconnects");
	ret->lost = json_reader_count(reader, from, where, "lost");
	ret->reset = json_reader_count(reader, from, where, "reset");
	ret->first = json_reader_count(reader, from, where, "first");
	read_counts(reader,
	    json_reader_member(reader, from, where, "failed", JSON_OBJECT),
	    "connections.failed", tally_connect_failure_names, ret->failed);
}

void
result_read_messages(struct json_reader *reader, const json_t *from, const char *where,
    struct result_messages *ret)
{
	ret->sent = json_reader_count(reader, from, where, "sent");
	ret->verified = json_reader_count(reader, from, where, "verified");
	ret->wrong = json_reader_count(reader, from, where, "wrong");
	ret->in_flight = json_reader_count(reader, from, where, "in_flight");
	read_counts(reader,
	    json_reader_member(reader, from, where, "lost", JSON_OBJECT), where,
	    tally_loss_names, ret->lost);
}

/* The text keeps counts; the exact ends stand beside it. */
static void
set_ends(struct histogram *h, uint64_t min, uint64_t max, uint64_t dropped)
{
	if (histogram_count(h) == 0)
		return;
	if (histogram_lowest_equivalent(h, min) ==
	    histogram_lowest_equivalent(h, h->min))
		h->min = min;
	if (histogram_lowest_equivalent(h, max) ==
	    histogram_lowest_equivalent(h, h->max))
		h->max = max;
	h->dropped = dropped;
}

static void
read_latency(struct json_reader *reader, const json_t *from, const char *name,
    struct histogram *into)
{
	const json_t *one =
	    json_reader_member(reader, from, "latency", name, JSON_OBJECT);
	const json_t *hdr = json_object_get(one, "hdr");
	const char *error = "";
	struct histogram *h;

	if (reader->failed)
		return;
	if (!json_is_string(hdr)) {
		json_reader_fail(reader, name, "hdr", "wanted the text of a histogram");
		return;
	}
	h = histogram_codec_decode(json_string_value(hdr), &error);
	if (h == NULL) {
		json_reader_fail(reader, name, "hdr", error);
		return;
	}
	set_ends(h, json_reader_count(reader, one, name, "min_ns"),
	    json_reader_count(reader, one, name, "max_ns"),
	    json_reader_count(reader, one, name, "dropped"));
	if (histogram_add(into, h) != 0)
		json_reader_fail(
		    reader, name, "hdr", "wanted a histogram of 1 ns to 1 h, 3 digits");
	free(h);
}

#define SECONDS_MAX 18446744072 /* of the nanoseconds that 64 bits hold */

static int
verdict_of(const char *name)
{
	for (int i = 0; result_verdict_names[i] != NULL; i++)
		if (strcmp(name, result_verdict_names[i]) == 0)
			return i;
	return -1;
}

static void
read_trust(struct json_reader *reader, const json_t *from, struct result_trust *ret)
{
	char *verdict = json_reader_text(reader, from, "trust", "verdict");
	const json_t *reasons =
	    json_reader_member(reader, from, "trust", "reasons", JSON_ARRAY);
	const json_t *reason;
	size_t i;

	json_array_foreach(reasons, i, reason)
	{
		if (!json_is_string(reason) ||
		    trust_add(ret, RESULT_VALID, "%s", json_string_value(reason)) != 0)
			json_reader_fail(reader, "trust", "reasons", "wanted strings");
	}
	if (verdict == NULL || verdict_of(verdict) < 0)
		json_reader_fail(
		    reader, "trust", "verdict", "wanted valid, suspect or invalid");
	else
		ret->verdict = (enum result_verdict)verdict_of(verdict);
	free(verdict);
}

static void
read_host(struct json_reader *reader, const json_t *from, struct result_host *ret)
{
	static const char where[] = "host";

	ret->hostname = json_reader_text(reader, from, where, "hostname");
	ret->kernel = json_reader_text(reader, from, where, "kernel");
	ret->cpus = json_reader_count(reader, from, where, "cpus");
	ret->cpu_user_s = json_reader_real(reader, from, where, "cpu_user_s");
	ret->cpu_sys_s = json_reader_real(reader, from, where, "cpu_sys_s");
	ret->memory_bytes = json_reader_count(reader, from, where, "memory_bytes");
	ret->retransmits = json_reader_count(reader, from, where, "retransmits");
	ret->host_retransmits =
	    json_reader_count(reader, from, where, "host_retransmits");
	ret->listen_overflows =
	    json_reader_count(reader, from, where, "listen_overflows");
	ret->listen_drops = json_reader_count(reader, from, where, "listen_drops");
}

static void
read_ports(struct json_reader *reader, const json_t *from, struct result_ports *ret)
{
	static const char where[] = "ports";

	ret->available = json_reader_count(reader, from, where, "available");
	ret->held_max = json_reader_count(reader, from, where, "held_max");
	ret->time_wait_before =
	    json_reader_count(reader, from, where, "time_wait_before");
	ret->time_wait_max = json_reader_count(reader, from, where, "time_wait_max");
}

/* "2026-01-02T03:04:05.000000006Z" */
static uint64_t
read_time(struct json_reader *reader, const json_t *from, const char *key)
{
	char *given = json_reader_text(reader, from, "", key);
	struct tm parts = { 0 };
	const char *rest =
	    given == NULL ? NULL : strptime(given, "%Y-%m-%dT%H:%M:%S", &parts);
	time_t seconds = timegm(&parts);
	double fraction = rest != NULL && *rest == '.' ? strtod(rest, NULL) : 0;

	if (rest == NULL || seconds < 0 || seconds > SECONDS_MAX || !(fraction < 1)) {
		json_reader_fail(reader, "", key, "wanted a time of RFC 3339, in UTC");
		seconds = 0;
		fraction = 0;
	}
	free(given);
	return (uint64_t)seconds * 1000000000u + (uint64_t)llround(fraction * 1e9);
}

static void
read_figures(struct json_reader *reader, const json_t *root, struct result *ret)
{
	const json_t *messages =
	    json_reader_member(reader, root, "", "messages", JSON_OBJECT);
	const json_t *bytes =
	    json_reader_member(reader, root, "", "bytes", JSON_OBJECT);
	const json_t *rates =
	    json_reader_member(reader, root, "", "rates", JSON_OBJECT);

	result_read_messages(reader, messages, "messages", &ret->messages);
	ret->messages_due = json_reader_count(reader, messages, "messages", "due");
	ret->messages_late = json_reader_count(reader, messages, "messages", "late");
	ret->oldest_lost_ns =
	    json_reader_count(reader, messages, "messages", "oldest_lost_ns");
	result_read_messages(reader,
	    json_reader_member(reader, root, "", "warmup", JSON_OBJECT), "warmup",
	    &ret->warmup);
	ret->bytes_sent = json_reader_count(reader, bytes, "bytes", "sent");
	ret->bytes_received = json_reader_count(reader, bytes, "bytes", "received");
	ret->bytes_surplus = json_reader_count(reader, bytes, "bytes", "surplus");
	ret->messages_per_s =
	    json_reader_real(reader, rates, "rates", "messages_per_s");
	ret->connections_per_s =
	    json_reader_real(reader, rates, "rates", "connections_per_s");
}

static void
read_result(struct json_reader *reader, const json_t *root, struct result *ret)
{
	const json_t *latency =
	    json_reader_member(reader, root, "", "latency", JSON_OBJECT);
	const json_t *ledger = json_object_get(root, "ledger");

	read_plan(reader, json_reader_member(reader, root, "", "plan", JSON_OBJECT),
	    &ret->plan);
	ret->started_at_ns = read_time(reader, root, "started_at");
	ret->elapsed_s = json_reader_real(reader, root, "", "elapsed_s");
	ret->interrupted = json_reader_flag(reader, root, "", "interrupted");
	read_connections(reader,
	    json_reader_member(reader, root, "", "connections", JSON_OBJECT),
	    &ret->connections);
	read_figures(reader, root, ret);
	for (int i = 0; i < TALLY_HISTOGRAM_COUNT; i++)
		read_latency(
		    reader, latency, tally_histogram_names[i], ret->latency[i]);
	result_read_rows(reader, root, ret);
	read_trust(reader, json_reader_member(reader, root, "", "trust", JSON_OBJECT),
	    &ret->trust);
	read_host(reader, json_reader_member(reader, root, "", "host", JSON_OBJECT),
	    &ret->host);
	read_ports(reader, json_object_get(root, "ports"), &ret->ports);
	if (json_is_object(ledger))
		ret->ledger = json_dumps(ledger, JSON_COMPACT);
}

int
result_read_json(FILE *file, struct result *ret, char *error)
{
	struct json_reader reader = { .error = error, .error_size = RESULT_ERROR_MAX };
	json_error_t parse;
	json_t *root = json_loadf(file, JSON_REJECT_DUPLICATES, &parse);
	const char *schema = json_string_value(json_object_get(root, "schema"));

	if (root == NULL) {
		snprintf(error, RESULT_ERROR_MAX, "line %d, column %d: %s", parse.line,
		    parse.column, parse.text);
		return -1;
	}
	if (schema == NULL || strcmp(schema, RESULT_SCHEMA) != 0) {
		snprintf(error, RESULT_ERROR_MAX,
		    "schema: found \"%.64s\", wanted \"%s\"",
		    schema == NULL ? "nothing" : schema, RESULT_SCHEMA);
		json_decref(root);
		return -1;
	}
	if (result_init(ret) != 0)
		json_reader_fail(&reader, "", "", "out of memory");
	else
		read_result(&reader, root, ret);
	json_decref(root);
	if (!reader.failed)
		return 0;
	result_finish(ret);
	return -1;
}
