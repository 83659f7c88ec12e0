#include "client/confidence.h"

#include <math.h>

#define NORMAL_95 1.96

struct confidence
confidence_of(const struct histogram *histogram, double percentile, double effective)
{
	struct confidence found = { .value =
					histogram_percentile(histogram, percentile) };
	double count = (double)histogram_count(histogram);
	double p = percentile / 100, half;

	if (effective <= 0 || effective > count)
		effective = count;
	if (effective < 1)
		return found;
	half = NORMAL_95 * sqrt(p * (1 - p) / effective);
	if (p - half <= 0 || p + half >= 1)
		return found;
	found.known = true;
	found.low = histogram_at_rank(histogram, (uint64_t)floor(count * (p - half)));
	found.high = histogram_at_rank(histogram, (uint64_t)ceil(count * (p + half)));
	return found;
}
