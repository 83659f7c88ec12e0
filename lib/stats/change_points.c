#include "lib/stats/change_points.h"

#include <math.h>

/* The largest t of an unchanged series of so many values, which 1 in 250 exceeds: from
 * 100,000 simulated series each (tests/unit/change_points_test.c). */
static const struct {
	size_t count;
	double t;
} critical[] = {
	{ 8, 7.30 },
	{ 10, 6.85 },
	{ 12, 6.50 },
	{ 14, 6.31 },
	{ 16, 6.06 },
	{ 20, 5.90 },
	{ 24, 5.69 },
	{ 30, 5.56 },
	{ 40, 5.47 },
	{ 60, 5.33 },
	{ 1000, 5.38 },
};
#define CRITICAL_COUNT (sizeof(critical) / sizeof(critical[0]))

/* Between the rows of the table the larger value of both applies. */
static double
critical_of(size_t count)
{
	size_t i = 0;
	while (i + 1 < CRITICAL_COUNT && critical[i + 1].count <= count)
		i++;
	if (i + 1 < CRITICAL_COUNT && critical[i].count < count)
		return fmax(critical[i].t, critical[i + 1].t);
	return critical[i].t;
}

struct split {
	size_t place; /* first value of the right side */
	double t;
};

/* The place that divides the values best. */
static struct split
best_split(const double *values, size_t count, double noise)
{
	struct split best = { 0, 0 };
	double n = (double)count, mean = 0, squares = 0, left = 0;
	for (size_t i = 0; i < count; i++)
		mean += values[i] / n;
	for (size_t i = 0; i < count; i++)
		squares += (values[i] - mean) * (values[i] - mean);
	for (size_t i = 1; i + CHANGE_POINTS_SEGMENT_MIN <= count; i++) {
		double k = (double)i;
		left += values[i - 1] - mean;
		if (i < CHANGE_POINTS_SEGMENT_MIN)
			continue;
		/* The means of both sides, from the mean of all. */
		double apart = left / k + left / (n - k);
		double between = left * left / k + left * left / (n - k);
		double variance = fmax(squares - between, 0) / (n - 2);
		double t = fabs(apart) /
		    sqrt(fmax(variance, noise * noise) * (1 / k + 1 / (n - k)));
		if (t > best.t)
			best = (struct split){ i, t };
	}
	return best;
}

/* Appends the changes of values[first, end) to ret[*found]. The depth is limited by the
 * smallest segment. */
static void
find(const double *values, size_t first, size_t end, double noise, size_t *ret,
    size_t *found)
{
	size_t count = end - first;
	if (count < CHANGE_POINTS_SERIES_MIN)
		return;
	struct split split = best_split(values + first, count, noise);
	if (split.place == 0 || split.t <= critical_of(count))
		return;
	size_t place = first + split.place;
	find(values, first, place, noise, ret, found);
	ret[(*found)++] = place;
	find(values, place, end, noise, ret, found);
}

size_t
change_points_find(const double *values, size_t count, double noise, size_t *ret)
{
	size_t found = 0;
	find(values, 0, count, noise, ret, &found);
	return found;
}
