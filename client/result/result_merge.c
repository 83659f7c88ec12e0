#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/result/result.h"
#include "client/result/result_fields.h"
#include "client/result/result_lost.h"
#include "client/result/result_target.h"

#define NS_PER_S 1e9

static int
fail(char *error, const char *what)
{
	snprintf(error, RESULT_ERROR_MAX, "%s", what);
	return -1;
}

/* count elements more, the old ones kept; NULL when out of memory. */
static void *
grow(void *items, size_t have, size_t more, size_t size)
{
	return reallocarray(items, have + more + 1, size);
}

static char *
join_reasons(const struct result_trust *trust)
{
	size_t length = 1, at = 0;
	char *text;

	for (size_t i = 0; i < trust->reason_count; i++)
		length += strlen(trust->reasons[i]) + 2;
	text = calloc(1, length);
	for (size_t i = 0; text != NULL && i < trust->reason_count; i++)
		at += (size_t)snprintf(text + at, length - at, "%s%s",
		    i > 0 ? "; " : "", trust->reasons[i]);
	return text;
}

static char *
started_text(uint64_t ns)
{
	time_t seconds = (time_t)(ns / 1000000000);
	char text[32] = "";
	struct tm parts;

	if (gmtime_r(&seconds, &parts) != NULL)
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
	return strdup(text);
}

/* What is kept of a result when its histograms have become one with others. 0, or -1.
 */
static int
summarize(const struct result *result, struct result_rank *ret)
{
	const struct histogram *h = result->latency[LATENCY_RESPONSE];

	*ret = (struct result_rank){
		.rank = result->plan.rank,
		.elapsed_s = result->elapsed_s,
		.messages_per_s = result->messages_per_s,
		.messages = result->messages,
		.p50_ns = histogram_percentile(h, 50),
		.p90_ns = histogram_percentile(h, 90),
		.p99_ns = histogram_percentile(h, 99),
		.p999_ns = histogram_percentile(h, 99.9),
		.p9999_ns = histogram_percentile(h, 99.99),
		.max_ns = histogram_max(h),
		.hostname =
		    strdup(result->host.hostname != NULL ? result->host.hostname : ""),
		.started_at = started_text(result->started_at_ns),
		.verdict = strdup(result_verdict_names[result->trust.verdict]),
		.reasons = join_reasons(&result->trust),
	};
	return ret->hostname != NULL && ret->started_at != NULL &&
		ret->verdict != NULL && ret->reasons != NULL
	    ? 0
	    : -1;
}

static int
copy_rank(const struct result_rank *from, struct result_rank *ret)
{
	*ret = *from;
	return json_record_copy_texts(result_rank_fields, ret);
}

/* Appends the ranks of `from`, or itself as one. */
static int
add_ranks(struct result *into, const struct result *from)
{
	bool merged = from->rank_count > 0;
	size_t more = merged ? from->rank_count : 1;
	struct result_rank *ranks =
	    grow(into->ranks, into->rank_count, more, sizeof(*ranks));

	if (ranks == NULL)
		return -1;
	into->ranks = ranks;
	for (size_t i = 0; i < more; i++) {
		struct result_rank *rank = &ranks[into->rank_count++];

		if ((merged ? copy_rank(&from->ranks[i], rank)
			    : summarize(from, rank)) != 0)
			return -1;
	}
	return 0;
}

/* The first part of the plan in which the two are not of one load; NULL: they are. */
static const char *
difference_of(const struct result_plan *a, const struct result_plan *b)
{
#define TEXT(name)                                                                     \
	if (strcmp(a->name, b->name) != 0)                                             \
		return #name;
#define NUMBER(name)                                                                   \
	if (a->name != b->name)                                                        \
		return #name;
	TEXT(load)
	TEXT(message)
	TEXT(expect)
	TEXT(framing)
	TEXT(arrivals)
	TEXT(close)
	NUMBER(ranks)
	NUMBER(rate)
	NUMBER(connect_rate)
	NUMBER(interval_ns)
	NUMBER(pipeline)
	NUMBER(duration_ns)
	NUMBER(warmup_ns)
	NUMBER(messages)
	NUMBER(messages_per_connection)
	NUMBER(lifetime_ns)
#undef TEXT
#undef NUMBER
	/* Of a whole that has ranks each is told the sum. */
	return a->ranks > 1 && a->connections != b->connections ? "connections" : NULL;
}

static int
check_ranks(const struct result *into, char *error)
{
	for (size_t i = 0; i < into->rank_count; i++)
		for (size_t j = 0; j < i; j++)
			if (into->plan.ranks > 1 &&
			    into->ranks[i].rank == into->ranks[j].rank) {
				snprintf(error, RESULT_ERROR_MAX,
				    "rank %llu is there twice",
				    (unsigned long long)into->ranks[i].rank);
				return -1;
			}
	return 0;
}

/* A second of one rank into one of another that it shares. */
static void
add_second(struct result_second *to, const struct result_second *from)
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

/* The one that begins within half a second of `at`; NULL for none. *from is where to
 * look from on, for times that ascend. */
static struct result_second *
find_second(struct result_second *seconds, size_t count, double at, size_t *from)
{
	while (*from < count && seconds[*from].at_s < at - 0.5)
		++*from;
	return *from < count && seconds[*from].at_s <= at + 0.5 ? &seconds[*from]
								: NULL;
}

static int
by_start(const void *a, const void *b)
{
	const struct result_second *x = a, *y = b;

	return x->at_s < y->at_s ? -1 : x->at_s > y->at_s;
}

/* `offset_s`: how much later than `into` the other one has started. */
static int
add_seconds(struct result *into, const struct result *from, double offset_s)
{
	size_t own = into->second_count, look = 0;
	struct result_second *seconds = grow(
	    into->seconds, into->second_count, from->second_count, sizeof(*seconds));

	if (seconds == NULL)
		return -1;
	into->seconds = seconds;
	for (size_t i = 0; i < from->second_count; i++) {
		struct result_second second = from->seconds[i], *same;

		second.at_s += offset_s;
		same = find_second(seconds, own, second.at_s, &look);
		if (same != NULL)
			add_second(same, &second);
		else
			seconds[into->second_count++] = second;
	}
	if (into->second_count > 0)
		qsort(seconds, into->second_count, sizeof(*seconds), by_start);
	return 0;
}

/* The two stand on one clock; the parts may have run one after the other. */
static int
add_times(struct result *into, const struct result *from)
{
	double offset =
	    (double)(int64_t)(from->started_at_ns - into->started_at_ns) / NS_PER_S;
	double end = fmax(into->elapsed_s, offset + from->elapsed_s);

	if (offset < 0) {
		for (size_t i = 0; i < into->second_count; i++)
			into->seconds[i].at_s -= offset;
		into->started_at_ns = from->started_at_ns;
		end -= offset;
		offset = 0;
	}
	into->elapsed_s = end;
	into->messages_per_s = end > 0 ? (double)into->messages.verified / end : 0;
	return add_seconds(into, from, offset);
}

static int
add_lists(struct result *into, const struct result *from)
{
	struct result_process *processes = grow(into->processes, into->process_count,
	    from->process_count, sizeof(*processes));
	struct counters_mismatch *mismatches = grow(into->mismatches,
	    into->mismatch_count, from->mismatch_count, sizeof(*mismatches));

	if (processes != NULL)
		into->processes = processes;
	if (mismatches != NULL)
		into->mismatches = mismatches;
	if (processes == NULL || mismatches == NULL)
		return -1;
	for (size_t i = 0; i < from->process_count; i++)
		processes[into->process_count++] = from->processes[i];
	for (size_t i = 0; i < from->mismatch_count; i++)
		mismatches[into->mismatch_count++] = from->mismatches[i];
	return 0;
}

/* Sums of what a file may say need not be what a file may say. */
static bool
fits(const struct result *result)
{
	if (!json_record_fits(result_fields, result))
		return false;
	for (const struct result_list *list = result_lists; list->name != NULL; list++)
		for (size_t i = 0;
		     list->row == RESULT_RECORD && i < *result_list_count(list, result);
		     i++)
			if (!json_record_fits(
				list->fields, result_list_at(list, result, i)))
				return false;
	for (int i = 0; i < LATENCY_KIND_COUNT; i++)
		if (histogram_count(result->latency[i]) > INT64_MAX ||
		    histogram_dropped(result->latency[i]) > INT64_MAX)
			return false;
	return true;
}

int
result_merge_start(struct result *result)
{
	return result->rank_count > 0 ? 0 : add_ranks(result, result);
}

int
result_merge(struct result *into, const struct result *from, char *error)
{
	const char *difference = difference_of(&into->plan, &from->plan);

	if (difference != NULL) {
		snprintf(error, RESULT_ERROR_MAX,
		    "its plan is not that of the first one: \"%s\" differs",
		    difference);
		return -1;
	}
	if (result_merge_start(into) != 0 || add_ranks(into, from) < 0)
		return fail(error, "out of memory");
	if (check_ranks(into, error) < 0)
		return -1;
	for (int i = 0; i < LATENCY_KIND_COUNT; i++)
		if (histogram_add(into->latency[i], from->latency[i]) < 0)
			return fail(error, "its histograms are of another resolution");
	json_record_add(result_fields, into, from);
	if (into->plan.ranks <= 1)
		into->plan.connections += from->plan.connections;
	if (result_target_merge(into, from) < 0 || result_lost_merge(into, from) < 0 ||
	    add_lists(into, from) < 0 || add_times(into, from) < 0)
		return fail(error, "out of memory");
	if (!fits(into))
		return fail(
		    error, "its figures added to the others are beyond 63 bits");
	/* Each one's ledger told of one server: the sum would count it several times.
	 */
	free(into->ledger);
	into->ledger = NULL;
	return 0;
}
