/* sampler_row.h - what was counted during a second of a run (sampler.h), or during 100
 * ms of it (tenths.h). */
#ifndef CLIENT_MEASURE_SAMPLER_ROW_H
#define CLIENT_MEASURE_SAMPLER_ROW_H

#include <stdbool.h>
#include <stdint.h>

/* One second (or so) of a run. A percentile is UINT64_MAX, null in JSON, if it is not
 * known: the second has too few values, or is merged from several hosts. */
struct sampler_second {
	double at_s; /* its beginning, from the start of the run */
	double length_s;
	uint64_t connections_open;
	uint64_t sent, verified, wrong, lost; /* messages */
	uint64_t connections_lost;
	uint64_t count; /* responses, as are the latencies below */
	double mean_ns;
	uint64_t p50_ns, p90_ns, p99_ns, max_ns;
	uint64_t rank_index; /* of 100 ms of a merged result: in its list of ranks */
};

/* False for the last row of a run, which may be short. */
static inline bool
sampler_second_is_whole(const struct sampler_second *second)
{
	return second->length_s >= 0.5;
}

/* True if something was lost or wrong. */
static inline bool
sampler_second_has_event(const struct sampler_second *second)
{
	return second->wrong + second->lost + second->connections_lost > 0;
}

#endif
