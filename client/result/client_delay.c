#include "client/result/client_delay.h"

#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/xmalloc.h"

#define DISTORTED 1.1
#define DISTORTED_MIN_NS NS_PER_MS
#define UNUSABLE 1.5
#define UNUSABLE_MIN_NS (10 * NS_PER_MS)

static const enum latency_kind latency_of[] = {
	[COUNTERS_SAMPLE_RESPONSE] = LATENCY_RESPONSE,
	[COUNTERS_SAMPLE_SERVICE] = LATENCY_SERVICE,
};

/* The sum over the load processes, on the heap. */
static struct histogram *
sum_of(const struct counters_map *counters_map, int sample, int which)
{
	struct histogram *sum =
	    xmalloc_check(histogram_create(&counters_latency_config));
	for (uint32_t i = 0; i < counters_map->count; i++)
		if (histogram_add(sum,
			counters_map_at(counters_map, i)->samples[sample][which]) < 0)
			abort(); /* both have counters_latency_config */
	return sum;
}

static void
add_row(struct result *result, enum latency_kind latency, const char *percentile,
    uint64_t measured_ns, uint64_t without_ns)
{
	size_t n = result->client_delay_count++;
	result->client_delays = xreallocarray(
	    result->client_delays, n + 1, sizeof(result->client_delays[0]));
	result->client_delays[n] = (struct result_client_delay){
		.latency = xstrdup(threshold_latency_names[latency]),
		.percentile = xstrdup(percentile),
		.measured_ns = measured_ns,
		.without_client_ns = without_ns,
	};
}

static void
collect_latency(const struct counters_map *counters_map, int sample, struct result *ret)
{
	enum latency_kind latency = latency_of[sample];
	struct histogram *measured = sum_of(counters_map, sample, COUNTERS_MEASURED);
	struct histogram *without = sum_of(counters_map, sample, COUNTERS_WITHOUT_OWN);
	if (histogram_count(measured) == 0)
		goto out;
	for (size_t i = 0; i < RESULT_PERCENTILES; i++)
		if (percentile_interval_is_known(
			result_percentiles[i], histogram_count(ret->latency[latency])))
			add_row(ret, latency, result_percentile_names[i],
			    histogram_percentile(measured, result_percentiles[i]),
			    histogram_percentile(without, result_percentiles[i]));
	add_row(ret, latency, "max", histogram_max(measured), histogram_max(without));
out:
	free(measured);
	free(without);
}

/* Own delays are known of a sample of the messages, the lateness of sending of all. At
 * least 1. */
static uint64_t
longest_of(const struct counters_map *counters_map, const struct result *result)
{
	uint64_t longest = histogram_max(result->latency[LATENCY_SEND_LAG]);
	for (uint32_t i = 0; i < counters_map->count; i++) {
		uint64_t ns =
		    counters_get(&counters_map_at(counters_map, i)->own_delay_max_ns);
		longest = ns > longest ? ns : longest;
	}
	return longest > 0 ? longest : 1;
}

void
client_delay_collect(const struct counters_map *counters_map, struct result *result)
{
	if (histogram_count(result->latency[LATENCY_RECEIVE_LAG]) == 0)
		return;
	result->client_delay_max_ns = longest_of(counters_map, result);
	for (int i = 0; i < COUNTERS_SAMPLE_COUNT; i++)
		collect_latency(counters_map, i, result);
}

static bool
is_tail(const char *percentile)
{
	return strcmp(percentile, "p50") != 0 && strcmp(percentile, "p90") != 0 &&
	    strcmp(percentile, "p99") != 0;
}

static bool
is_longer(const struct result_client_delay *row, double factor, uint64_t ns)
{
	return (double)row->measured_ns >= factor * (double)row->without_client_ns &&
	    row->measured_ns >= row->without_client_ns + ns;
}

enum result_verdict
client_delay_verdict(const struct result_client_delay *row)
{
	if (is_longer(row, UNUSABLE, UNUSABLE_MIN_NS) && !is_tail(row->percentile))
		return RESULT_INVALID;
	return is_longer(row, DISTORTED, DISTORTED_MIN_NS) ? RESULT_SUSPECT
							   : RESULT_VALID;
}
