#include "lib/stats/percentile_interval.h"

#include <math.h>

#define NORMAL_95 1.96
/* Values that are worth less than 1 / CORRELATED of their number are correlated. The
 * percentile is known from TAIL_MIN independent ones beyond it. These three were
 * chosen by simulation (tests/unit/coverage_test.c). */
#define CORRELATED 2.5
#define TAIL_MIN 5
#define DEGREES_PER_VALUE 0.7

static uint64_t
at_rank(const struct histogram *histogram, struct histogram_walk *walk, double rank)
{
	return histogram_walk_to(
	    histogram, walk, rank < 0x1p64 ? (uint64_t)rank : UINT64_MAX);
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

uint64_t
percentile_if_known(const struct histogram *histogram, double percentile)
{
	return percentile_interval_is_known(percentile, histogram_count(histogram))
	    ? histogram_percentile(histogram, percentile)
	    : UINT64_MAX;
}

/* Ranks as parts of 1. The skew of a share of few independent values shifts both
 * (Cornish and Fisher). */
static bool
find_ranks(
    double p, const struct precision *worth, double count, double *low, double *high)
{
	double t = batches_student(worth->degrees), n = worth->effective;
	double half = t * sqrt(p * (1 - p) / n);
	double shift = (1 - 2 * p) * (t * t - 1) / (6 * n);
	*low = p - half + shift;
	*high = p + half + shift;
	return *low * count >= 1 && *high < 1;
}

struct percentile_interval
percentile_interval_next(const struct histogram *histogram, double percentile,
    const struct precision *precision, double least, struct percentile_walk *walk)
{
	uint64_t count = histogram_count(histogram);
	struct percentile_interval found = { .value = histogram_walk_to_percentile(
						 histogram, &walk->value, percentile) };
	double p = percentile / 100, n = (double)count, low, high;
	struct precision worth = { n, INFINITY };
	found.low = found.high = found.value;
	found.known = percentile_interval_is_known(percentile, count);
	if (precision != NULL)
		worth = *precision;
	if (!found.known || worth.effective <= 0)
		return found;
	double fewest = least > 0 ? fmin(least, worth.effective) : worth.effective;
	if (n / fewest > CORRELATED) {
		double tail = fewest * fmin(p, 1 - p);
		/* Few independent values say little about how few they are. */
		worth.degrees = 1 /
		    (1 / worth.degrees +
			1 / (DEGREES_PER_VALUE * worth.effective * fmin(p, 1 - p)));
		found.known = tail >= TAIL_MIN && worth.degrees >= 2;
	}
	if (!found.known || !find_ranks(p, &worth, n, &low, &high)) {
		found.known = false;
		return found;
	}
	if (walk->is_value_only)
		return found;
	found.has_interval = true;
	found.low = histogram_lowest_equivalent(
	    histogram, at_rank(histogram, &walk->low, floor(n * low) + 1));
	found.high = at_rank(histogram, &walk->high, ceil(n * high));
	return found;
}

struct percentile_interval
percentile_interval_of(const struct histogram *histogram, double percentile,
    const struct precision *precision, double least)
{
	struct percentile_walk walk = { .is_value_only = false };
	return percentile_interval_next(histogram, percentile, precision, least, &walk);
}
