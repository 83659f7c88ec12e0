#include "client/collect/collect_failures.h"

#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/units.h"
#include "lib/xmalloc.h"

/* Number of records to take: those of a process, and those that still fit. */
static size_t
record_count(const _Atomic uint32_t *records, size_t process_max, size_t room)
{
	size_t count = atomic_load_explicit(records, memory_order_acquire);
	count = count < process_max ? count : process_max;
	return count < room ? count : room;
}

static void
collect_mismatches(const struct counters *counters, struct result *ret)
{
	size_t count = record_count(&counters->mismatches, COUNTERS_MISMATCHES_MAX,
	    RESULT_MISMATCHES_MAX - ret->mismatch_count);
	if (count > 0 && ret->mismatches == NULL)
		ret->mismatches =
		    xcalloc(RESULT_MISMATCHES_MAX, sizeof(ret->mismatches[0]));
	for (size_t i = 0; i < count; i++)
		ret->mismatches[ret->mismatch_count++] = counters->mismatch[i];
}

static void
collect_findings(const struct counters *counters, struct result *ret)
{
	const struct findings *from = counters->findings;
	if (from == NULL)
		return;
	size_t count = record_count(&from->count, FINDINGS_MAX, FINDINGS_MAX);
	if (from->clients.address_count > 0) {
		if (ret->clients == NULL)
			ret->clients = xcalloc(1, sizeof(*ret->clients));
		findings_merge_clients(ret->clients, &from->clients);
	}
	ret->findings_missed += atomic_load(&from->missed);
	if (count == 0)
		return;
	ret->findings = xreallocarray(
	    ret->findings, ret->finding_count + count, sizeof(ret->findings[0]));
	memcpy(ret->findings + ret->finding_count, from->list,
	    count * sizeof(ret->findings[0]));
	ret->finding_count += count;
}

/* As text in the document. */
static struct result_outage
outage_of(const struct outage *from, uint64_t clock_offset_ns)
{
	return (struct result_outage){
		.connection = from->connection,
		.begin_ns = from->begin_ns + clock_offset_ns,
		.length_ns = from->end_ns - from->begin_ns,
		.end = xstrdup(outages_end_names[from->end]),
	};
}

static void
count_outage(const struct outage *outage, struct result_hold *hold)
{
	hold->lost += outage->end == OUTAGE_LOST;
	hold->open += outage->end == OUTAGE_OPEN;
	hold->other_server += outage->end == OUTAGE_OTHER_SERVER;
	hold->reconnected +=
	    outage->end == OUTAGE_RECONNECTED || outage->end == OUTAGE_OTHER_SERVER;
}

static int
by_connection(const void *a, const void *b)
{
	const struct outage *x = a, *y = b;
	if (x->connection != y->connection)
		return x->connection < y->connection ? -1 : 1;
	return (x->begin_ns > y->begin_ns) - (x->begin_ns < y->begin_ns);
}

static void
collect_outages(const struct counters *counters, struct result *ret)
{
	const struct outages *from = counters->outages;
	struct result_hold *hold = &ret->hold;
	if (from == NULL)
		return;
	size_t count = record_count(&from->count, from->room, from->room);
	uint64_t missed = atomic_load(&from->missed),
		 offset = clock_realtime_offset_ns();
	struct outage *sorted = xcalloc(count + 1, sizeof(*sorted));
	memcpy(sorted, from->list, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), by_connection);
	ret->outages = xreallocarray(
	    ret->outages, ret->outage_count + count + 1, sizeof(*ret->outages));
	hold->periods += count + missed;
	hold->unlisted += missed;
	uint64_t own_max_ns = atomic_load(&from->own_max_ns);
	hold->inexact += atomic_load(&from->inexact);
	hold->doubtful += atomic_load(&from->doubtful);
	if (own_max_ns > hold->own_max_ns)
		hold->own_max_ns = own_max_ns;
	for (size_t i = 0; i < count; i++) {
		hold->connections +=
		    i == 0 || sorted[i].connection != sorted[i - 1].connection;
		count_outage(&sorted[i], hold);
		if (ret->outage_count < RESULT_OUTAGES_MAX)
			ret->outages[ret->outage_count++] =
			    outage_of(&sorted[i], offset);
		else
			hold->unlisted++;
	}
	free(sorted);
}

/* A CLOCK_MONOTONIC time as time of day. */
static char *
format_monotonic(uint64_t ns)
{
	char time[UNITS_TEXT_MAX];
	return xstrdup(units_format_time(ns + clock_realtime_offset_ns(), 3, time));
}

static void
collect_lost_connections(const struct counters *counters, struct result *ret)
{
	size_t count = record_count(&counters->lost_connections, COUNTERS_LOST_MAX,
	    RESULT_LOST_MAX - ret->lost_connection_count);
	if (count > 0 && ret->lost_connections == NULL)
		ret->lost_connections =
		    xcalloc(RESULT_LOST_MAX, sizeof(ret->lost_connections[0]));
	for (size_t i = 0; i < count; i++) {
		const struct counters_lost_connection *from =
		    &counters->lost_connection[i];
		ret->lost_connections[ret->lost_connection_count++] =
		    (struct result_lost_connection){
			    .connection = from->connection,
			    .at = format_monotonic(from->at_ns),
			    .why = xstrdup(counters_loss_names[from->why]),
			    .local = xstrdup(from->local),
			    .remote = xstrdup(from->remote),
			    .messages = from->messages,
			    .message = from->message,
			    .answer_bytes = from->answer_bytes,
			    .answer_length = from->answer_length,
			    .unacknowledged = from->unacknowledged,
			    .waited_ns = from->waited_ns,
			    .silent_ns = from->silent_ns,
			    .line = from->line,
			    .step = xstrdup(from->step),
			    .waiting = xstrdup(from->waiting),
		    };
	}
}

/* Adds the losses of one process to those of the others with the same cause. */
static void
add_losses(struct counters_losses *to, const struct counters_losses *from)
{
	uint64_t all = counters_get(&to->connections);
	const struct {
		counters_value *to;
		const counters_value *from;
		bool is_max;
	} extremes[] = {
		{ &to->silent_min_ns, &from->silent_min_ns, false },
		{ &to->silent_max_ns, &from->silent_max_ns, true },
		{ &to->age_min_ns, &from->age_min_ns, false },
		{ &to->age_max_ns, &from->age_max_ns, true },
		{ &to->first_ns, &from->first_ns, false },
		{ &to->last_ns, &from->last_ns, true },
	};
	if (counters_get(&from->connections) == 0)
		return;
	for (size_t i = 0; i < sizeof(extremes) / sizeof(extremes[0]); i++) {
		uint64_t value = counters_get(extremes[i].from);
		uint64_t known = counters_get(extremes[i].to);
		if (all == 0 || (extremes[i].is_max ? value > known : value < known))
			counters_set(extremes[i].to, value);
	}
	counters_add(&to->connections, counters_get(&from->connections));
	counters_add(&to->messages, counters_get(&from->messages));
	counters_add(&to->silent_sum_ns, counters_get(&from->silent_sum_ns));
	counters_add(&to->age_sum_ns, counters_get(&from->age_sum_ns));
}

static void
collect_losses(const struct counters_map *counters_map, struct result *ret)
{
	ret->losses = xcalloc(MESSAGE_LOSS_COUNT * (size_t)2, sizeof(ret->losses[0]));
	for (int cause = 0; cause < MESSAGE_LOSS_COUNT * 2; cause++) {
		int why = cause / 2, busy = cause % 2;
		struct counters_losses sum = { .connections = 0 };
		for (uint32_t i = 0; i < counters_map->count; i++)
			add_losses(
			    &sum, &counters_map_at(counters_map, i)->losses[why][busy]);
		if (sum.connections == 0)
			continue;
		ret->losses[ret->loss_count++] = (struct result_losses){
			.why = xstrdup(counters_loss_names[why]),
			.was_idle = busy == 0,
			.connections = sum.connections,
			.messages = sum.messages,
			.silent_min_ns = sum.silent_min_ns,
			.silent_max_ns = sum.silent_max_ns,
			.age_min_ns = sum.age_min_ns,
			.age_max_ns = sum.age_max_ns,
			.silent_sum_ns = sum.silent_sum_ns,
			.age_sum_ns = sum.age_sum_ns,
			.first_at = format_monotonic(sum.first_ns),
			.last_at = format_monotonic(sum.last_ns),
		};
	}
}

void
collect_failures(const struct counters_map *counters_map, struct result *ret)
{
	for (uint32_t i = 0; i < counters_map->count; i++) {
		const struct counters *counters = counters_map_at(counters_map, i);
		collect_findings(counters, ret);
		collect_outages(counters, ret);
		collect_mismatches(counters, ret);
		collect_lost_connections(counters, ret);
	}
	result_lost_connections_sort(ret);
	collect_losses(counters_map, ret);
}
