/*
 * percentile_interval.h - how far a percentile of a sample can be believed.
 *
 * Order statistics: of n independent values the p-quantile lies, with 95 % confidence,
 * between the values at the ranks np -+ 1.96 sqrt(np(1-p)). No distribution is assumed.
 * When a rank falls outside of the sample, the sample cannot tell: the percentile is
 * not known.
 */
#ifndef LIB_STATS_PERCENTILE_INTERVAL_H
#define LIB_STATS_PERCENTILE_INTERVAL_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/stats/histogram.h"

struct percentile_interval {
	bool known;
	uint64_t value;     /* the sample's percentile, in any case */
	uint64_t low, high; /* 95 %; when known */
};

/* percentile is 0 to 100; effective is how many independent values the histogram is
 * worth, at most its count; 0 takes the count. */
struct percentile_interval percentile_interval_of(
    const struct histogram *histogram, double percentile, double effective);

/* The least number of independent values from which a percentile is known; 0 when none
 * suffices (of 0 and of 100). */
uint64_t percentile_interval_count_min(double percentile);

/* Whether `count` values, taken as independent, are enough: where the histogram itself
 * is not there any more. */
bool percentile_interval_is_known(double percentile, uint64_t count);

#endif
