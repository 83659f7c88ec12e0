#include "client/result/merge_times.h"

#include <math.h>
#include <stdlib.h>

#include "lib/xmalloc.h"
#include "client/result/result_fields.h"

/* Adds a second of one rank to the same second of another. */
static void
add_second(struct sampler_second *to, const struct sampler_second *from)
{
	double count = (double)(to->count + from->count);
	if (from->count > 0) {
		to->mean_ns = to->count == 0
		    ? from->mean_ns
		    : (to->mean_ns * (double)to->count +
			  from->mean_ns * (double)from->count) /
			count;
		to->p50_ns = to->count == 0 ? from->p50_ns : UINT64_MAX;
		to->p90_ns = to->count == 0 ? from->p90_ns : UINT64_MAX;
		to->p99_ns = to->count == 0 ? from->p99_ns : UINT64_MAX;
	}
	json_record_add(result_second_fields, to, from);
}

/* The second that begins within half a second of `at`, or NULL. *from: where the search
 * begins; it moves on, for times that ascend. */
static struct sampler_second *
find_second(struct sampler_second *seconds, size_t count, double at, size_t *from)
{
	while (*from < count && seconds[*from].at_s < at - 0.5)
		++*from;
	return *from < count && seconds[*from].at_s <= at + 0.5 ? &seconds[*from]
								: NULL;
}

static int
by_start(const void *a, const void *b)
{
	const struct sampler_second *x = a, *y = b;
	return x->at_s < y->at_s ? -1 : x->at_s > y->at_s;
}

/* `offset_s`: how much later than `into` the other one started. */
static void
add_seconds(struct result *into, const struct result *from, double offset_s)
{
	size_t own = into->second_count, look = 0;
	struct sampler_second *seconds =
	    xreallocarray(into->seconds, own + from->second_count, sizeof(*seconds));
	into->seconds = seconds;
	for (size_t i = 0; i < from->second_count; i++) {
		struct sampler_second second = from->seconds[i], *same;
		second.at_s += offset_s;
		same = find_second(seconds, own, second.at_s, &look);
		if (same != NULL)
			add_second(same, &second);
		else
			seconds[into->second_count++] = second;
	}
	if (into->second_count > 0)
		qsort(seconds, into->second_count, sizeof(*seconds), by_start);
}

/* They begin at different times, and a host has them around its own events only, so
 * that they cannot be added: each keeps its rank. */
void
merge_times_add_tenths(struct result *into, const struct result *from)
{
	into->tenths = xreallocarray(into->tenths,
	    into->tenth_count + from->tenth_count, sizeof(into->tenths[0]));
	for (size_t i = 0; i < from->tenth_count; i++) {
		struct sampler_second *row = &into->tenths[into->tenth_count++];
		*row = from->tenths[i];
		row->rank_index += into->rank_count;
	}
}

static void
move_rows(struct sampler_second *rows, size_t count, double offset_s)
{
	for (size_t i = 0; i < count; i++)
		rows[i].at_s += offset_s;
}

void
merge_times_add(struct result *into, const struct result *from)
{
	double offset =
	    (double)(int64_t)(from->started_at_ns - into->started_at_ns) / 1e9;
	double end = fmax(into->elapsed_s, offset + from->elapsed_s);
	size_t own = into->tenth_count - from->tenth_count;
	if (offset < 0) {
		move_rows(into->seconds, into->second_count, -offset);
		move_rows(into->tenths, own, -offset);
		into->started_at_ns = from->started_at_ns;
		end -= offset;
		offset = 0;
	}
	move_rows(into->tenths + own, from->tenth_count, offset);
	if (into->tenth_count > 0)
		qsort(
		    into->tenths, into->tenth_count, sizeof(into->tenths[0]), by_start);
	into->elapsed_s = end;
	into->messages_per_s = end > 0 ? (double)into->messages.verified / end : 0;
	add_seconds(into, from, offset);
}
