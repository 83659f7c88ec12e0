/*
 * confidence.h - how far a percentile of a sample can be believed.
 *
 * Order statistics: of n independent values the p-quantile lies, with 95 % confidence,
 * between the values at the ranks np -+ 1.96 sqrt(np(1-p)). No distribution is assumed.
 * When a rank falls outside of the sample, the sample cannot tell: the percentile is
 * not known.
 */
#ifndef CLIENT_CONFIDENCE_H
#define CLIENT_CONFIDENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/stats/histogram.h"

struct confidence {
	bool known;
	uint64_t value;     /* the sample's percentile, in any case */
	uint64_t low, high; /* 95 %; when known */
};

/* percentile is 0 to 100; effective is how many independent values the histogram is
 * worth, at most its count; 0 takes the count. */
struct confidence confidence_of(
    const struct histogram *histogram, double percentile, double effective);

/* The least number of independent values from which a percentile is known; 0 when none
 * suffices (of 0 and of 100). */
uint64_t confidence_needs(double percentile);

/* Whether `count` values, taken as independent, are enough: where the histogram itself
 * is not there any more. */
bool confidence_is_known(double percentile, uint64_t count);

#endif
