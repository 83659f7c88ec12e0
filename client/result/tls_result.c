#include "client/result/tls_result.h"

#include <stdlib.h>
#include <string.h>

#include "lib/units.h"
#include "lib/xmalloc.h"
#include "client/measure/tls_counts.h"
#include "client/plan/tls_plan.h"
#include "client/result/result_fields.h"

static void
collect_text(
    const struct counters_map *counters_map, size_t index, struct result_tls_count *ret)
{
	const struct counters_tls_text *text =
	    &counters_map->control_block->tls_texts[index];
	ret->kind = xstrdup(counters_tls_kind_names[text->kind]);
	ret->text = xstrdup(text->text);
	for (uint32_t i = 0; i < counters_map->count; i++)
		ret->connections +=
		    counters_get(&counters_map_at(counters_map, i)->tls_texts[index]);
}

/* RFC 3339, in UTC. */
static char *
format_time(int64_t seconds)
{
	char text[UNITS_TEXT_MAX];
	uint64_t ns = seconds > 0 ? (uint64_t)seconds * NS_PER_S : 0;
	return xstrdup(units_format_time(ns, 0, text));
}

static void
collect_certificate(const struct plan *plan, const struct counters_map *counters_map,
    size_t index, struct result_certificate *ret)
{
	const struct counters_certificate *from =
	    &counters_map->control_block->certificates[index];
	*ret = (struct result_certificate){
		.target = xstrdup(plan->targets[from->target].text),
		.position = from->position,
		.subject = xstrdup(from->subject),
		.issuer = xstrdup(from->issuer),
		.names = xstrdup(from->names),
		.key = xstrdup(from->key),
		.not_before = format_time(from->not_before),
		.not_after = format_time(from->not_after),
		.sha256 = xstrdup(from->sha256),
	};
}

static void
read_sums(const struct counters *sum, struct result_tls *ret)
{
	ret->handshakes = counters_get(&sum->tls.handshakes);
	ret->resumed = counters_get(&sum->tls.resumed);
	ret->offered = counters_get(&sum->tls.offered);
	ret->tickets = counters_get(&sum->tls.tickets);
	ret->truncated = counters_get(&sum->tls.truncated);
	ret->bad_records = counters_get(&sum->tls.bad_records);
	ret->alerts = counters_get(&sum->tls.alerts);
	ret->record_bytes_sent = counters_get(&sum->tls.record_bytes_sent);
	ret->record_bytes_received = counters_get(&sum->tls.record_bytes_received);
	ret->handshake_bytes_sent = counters_get(&sum->tls.handshake_bytes_sent);
	ret->handshake_bytes_received =
	    counters_get(&sum->tls.handshake_bytes_received);
}

void
tls_result_collect(const struct plan *plan, const struct counters_map *counters_map,
    const struct counters *sum, struct result *ret)
{
	size_t texts = tls_counts_texts(counters_map->control_block);
	size_t certificates = tls_counts_certificates(counters_map->control_block);
	read_sums(sum, &ret->tls);
	ret->tls.lost_keys = tls_plan_lost_keys(plan);
	ret->tls_counts = xcalloc(texts, sizeof(ret->tls_counts[0]));
	for (size_t i = 0; i < texts; i++)
		collect_text(counters_map, i, &ret->tls_counts[ret->tls_count_count++]);
	ret->certificates = xcalloc(certificates, sizeof(ret->certificates[0]));
	for (size_t i = 0; i < certificates; i++)
		collect_certificate(plan, counters_map, i,
		    &ret->certificates[ret->certificate_count++]);
}

static struct result_tls_count *
find_count(struct result *result, const struct result_tls_count *other)
{
	for (size_t i = 0; i < result->tls_count_count; i++) {
		struct result_tls_count *one = &result->tls_counts[i];
		if (strcmp(one->kind, other->kind) == 0 &&
		    strcmp(one->text, other->text) == 0)
			return one;
	}
	result->tls_counts = xreallocarray(result->tls_counts,
	    result->tls_count_count + 1, sizeof(result->tls_counts[0]));
	struct result_tls_count *one = &result->tls_counts[result->tls_count_count++];
	*one = (struct result_tls_count){ .kind = xstrdup(other->kind),
		.text = xstrdup(other->text) };
	return one;
}

/* NULL: not known yet. */
static struct result_certificate *
find_certificate(struct result *result, const struct result_certificate *other)
{
	for (size_t i = 0; i < result->certificate_count; i++) {
		struct result_certificate *one = &result->certificates[i];
		if (strcmp(one->target, other->target) == 0 &&
		    strcmp(one->sha256, other->sha256) == 0)
			return one;
	}
	return NULL;
}

static void
add_certificate(struct result *into, const struct result_certificate *other)
{
	struct result_certificate *known = find_certificate(into, other);
	if (known != NULL)
		return;
	into->certificates = xreallocarray(into->certificates,
	    into->certificate_count + 1, sizeof(into->certificates[0]));
	known = &into->certificates[into->certificate_count++];
	*known = *other;
	if (json_record_copy_texts(result_certificate_fields, known) < 0)
		xmalloc_fail();
}

void
tls_result_merge(struct result *into, const struct result *from)
{
	for (size_t i = 0; i < from->tls_count_count; i++)
		json_record_add(result_tls_count_fields,
		    find_count(into, &from->tls_counts[i]), &from->tls_counts[i]);
	for (size_t i = 0; i < from->certificate_count; i++)
		add_certificate(into, &from->certificates[i]);
}
