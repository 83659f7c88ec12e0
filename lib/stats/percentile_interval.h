/*
 * percentile_interval.h - the 95 % confidence interval of a percentile.
 *
 * By order statistics: the p-quantile of n independent values lies, with 95 %
 * confidence, between the values at ranks np -+ t sqrt(np(1-p)), whatever their
 * distribution. For correlated values n is what they are worth (batches.h). If a rank
 * is outside the sample, the percentile is unknown.
 */
#ifndef LIB_STATS_PERCENTILE_INTERVAL_H
#define LIB_STATS_PERCENTILE_INTERVAL_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/stats/batches.h"
#include "lib/stats/histogram.h"

struct percentile_interval {
	bool known;         /* there are enough values */
	bool has_interval;  /* false: unknown, or the run is too short to tell */
	uint64_t value;     /* the percentile of the sample, also if not known */
	uint64_t low, high; /* 95 % interval, if there is one; else = value */
};

/* percentile is 0 to 100. `precision` says what the values are worth: effective 0: the
 * run was too short to estimate it, and there is no interval. NULL: they are
 * independent. `least` is the smallest effective number of this and the lower
 * percentiles, which is better known than that of a far percentile; 0: none. */
struct percentile_interval percentile_interval_of(const struct histogram *histogram,
    double percentile, const struct precision *precision, double least);

/* State of a walk over many percentiles of a histogram in ascending order, which reads
 * its counts once (histogram_walk_to()). Begins with zeros. */
struct percentile_walk {
	struct histogram_walk value, low, high;
	bool is_value_only; /* the interval is not looked up: has_interval is false */
};
struct percentile_interval percentile_interval_next(const struct histogram *histogram,
    double percentile, const struct precision *precision, double least,
    struct percentile_walk *walk);

/* The fewest independent values from which the percentile is known; 0 if no number is
 * enough (percentiles 0 and 100). */
uint64_t percentile_interval_count_min(double percentile);

/* True if `count` independent values are enough. */
bool percentile_interval_is_known(double percentile, uint64_t count);

/* The percentile of independent values; UINT64_MAX if there are too few. */
uint64_t percentile_if_known(const struct histogram *histogram, double percentile);

#endif
