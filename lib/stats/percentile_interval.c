#include "lib/stats/percentile_interval.h"

#include <math.h>

#define NORMAL_95 1.96

static uint64_t
at_rank(const struct histogram *histogram, double rank)
{
	return histogram_at_rank(
	    histogram, rank < 0x1p64 ? (uint64_t)rank : UINT64_MAX);
}

uint64_t
percentile_interval_count_min(double percentile)
{
	double p = percentile / 100, q = 1 - p, root, above, needed;
	if (p <= 0 || q <= 0)
		return 0;
	/* n p - 1.96 sqrt(n p q) = 1, for sqrt(n); n p + 1.96 sqrt(n p q) = n, for n */
	root = (NORMAL_95 * sqrt(p * q) + sqrt(NORMAL_95 * NORMAL_95 * p * q + 4 * p)) /
	    (2 * p);
	above = NORMAL_95 * NORMAL_95 * p / q;
	needed = floor(fmax(root * root, above));
	return needed < 0x1p63 ? (uint64_t)needed + 1 : UINT64_MAX;
}

bool
percentile_interval_is_known(double percentile, uint64_t count)
{
	uint64_t needed = percentile_interval_count_min(percentile);
	return needed > 0 && count >= needed;
}

struct percentile_interval
percentile_interval_of(
    const struct histogram *histogram, double percentile, double effective)
{
	struct percentile_interval found = { .value = histogram_percentile(
						 histogram, percentile) };
	double count = (double)histogram_count(histogram);
	double p = percentile / 100, half;
	if (effective <= 0 || effective > count)
		effective = count;
	if (effective < 1)
		return found;
	half = NORMAL_95 * sqrt(p * (1 - p) / effective);
	if (effective * (p - half) < 1 || p + half >= 1)
		return found;
	found.known = true;
	found.low = at_rank(histogram, floor(count * (p - half)));
	found.high = at_rank(histogram, ceil(count * (p + half)));
	return found;
}
