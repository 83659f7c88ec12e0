/*
 * percentile_interval.h - the 95 % confidence interval of a percentile.
 *
 * By order statistics: the p-quantile of n independent values lies, with 95 %
 * confidence, between the values at ranks np -+ 1.96 sqrt(np(1-p)), whatever their
 * distribution. If a rank is outside the sample, the percentile is unknown.
 */
#ifndef LIB_STATS_PERCENTILE_INTERVAL_H
#define LIB_STATS_PERCENTILE_INTERVAL_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/stats/histogram.h"

struct percentile_interval {
	bool known;
	uint64_t value;     /* the percentile of the sample, also if not known */
	uint64_t low, high; /* 95 % interval, if known */
};

/* percentile is 0 to 100; effective is the number of independent values that the
 * histogram is worth, at most its count; 0: its count. */
struct percentile_interval percentile_interval_of(
    const struct histogram *histogram, double percentile, double effective);

/* The fewest independent values from which the percentile is known; 0 if no number is
 * enough (percentiles 0 and 100). */
uint64_t percentile_interval_count_min(double percentile);

/* True if `count` independent values are enough. */
bool percentile_interval_is_known(double percentile, uint64_t count);

#endif
