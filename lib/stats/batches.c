#include "lib/stats/batches.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NORMAL_95 1.959964
/* A stronger correlation of neighbouring batches cannot be told from a trend. */
#define CORRELATION_MAX 0.9
/* Independent batches scatter to both sides of 0: to believe one side only would widen
 * every interval. */
#define CORRELATION_MIN (-0.3)
#define DEGREES_MIN 2
/* Values that vary less than independent ones by more than this are not believed. */
#define VARIANCE_MIN 0.25

/* One number and one weight for each batch. */
struct series {
	double values[BATCHES_MAX], weights[BATCHES_MAX];
	size_t count;
};

/* The variance of sum(values) / sum(weights), and its degrees of freedom. */
struct variance {
	bool known;
	double ratio, variance, degrees;
};

double
batches_student(double degrees)
{
	const double z = NORMAL_95, z2 = z * z;
	if (!(degrees < 1e6))
		return z;
	double n = degrees;
	if (n < 1.5) /* the expansion is too small there */
		return 12.706;
	return z *
	    (1 + (z2 + 1) / (4 * n) + ((5 * z2 + 16) * z2 + 3) / (96 * n * n) +
		(((3 * z2 + 19) * z2 + 17) * z2 - 15) / (384 * n * n * n));
}

static uint64_t
until(const struct batch *batch, size_t cells)
{
	return cells == 0 ? 0 : batch->cells[cells - 1].until;
}

/* *to = the sum of two batches, whose cells are freed. 0, or -1 with ENOMEM. */
static int
merge_pair(struct batch *a, struct batch *b, struct batch *to)
{
	size_t room = a->cell_count + b->cell_count, i = 0, j = 0, n = 0;
	struct batch_cell *cells = calloc(room > 0 ? room : 1, sizeof(*cells));
	if (cells == NULL)
		return -1;
	while (i < a->cell_count || j < b->cell_count) {
		bool from_a = j == b->cell_count ||
		    (i < a->cell_count && a->cells[i].index <= b->cells[j].index);
		int32_t index = from_a ? a->cells[i].index : b->cells[j].index;
		i += i < a->cell_count && a->cells[i].index == index;
		j += j < b->cell_count && b->cells[j].index == index;
		cells[n++] = (struct batch_cell){ index, until(a, i) + until(b, j) };
	}
	struct batch sum = { cells, n, a->count + b->count, a->sum + b->sum };
	free(a->cells);
	free(b->cells);
	*a = *b = (struct batch){ 0 };
	*to = sum;
	return 0;
}

static int
merge_neighbours(struct batches *batches)
{
	for (size_t i = 0; i < BATCHES_MAX / 2; i++)
		if (merge_pair(&batches->rows[2 * i], &batches->rows[2 * i + 1],
			&batches->rows[i]) < 0) {
			batches_clear(batches); /* half merged: of no use */
			return -1;
		}
	batches->count = BATCHES_MAX / 2;
	return 0;
}

int
batches_add(struct batches *batches, const struct histogram *values)
{
	struct histogram_cursor cursor = { 0 };
	size_t cells = 0;
	int merged = 0;
	if (batches->count == BATCHES_MAX) {
		if (merge_neighbours(batches) < 0)
			return -1;
		merged = 1;
	}
	while (histogram_next(values, &cursor))
		cells++;
	struct batch *batch = &batches->rows[batches->count];
	*batch = (struct batch){ .cells = NULL };
	batch->cells = calloc(cells > 0 ? cells : 1, sizeof(batch->cells[0]));
	if (batch->cells == NULL)
		return -1;
	cursor = (struct histogram_cursor){ 0 };
	while (batch->cell_count < cells && histogram_next(values, &cursor)) {
		batch->cells[batch->cell_count++] =
		    (struct batch_cell){ cursor.index, cursor.cumulative };
		batch->sum += (double)cursor.count * (double)cursor.value;
	}
	batch->count = until(batch, batch->cell_count);
	batches->count++;
	return merged;
}

void
batches_clear(struct batches *batches)
{
	for (size_t i = 0; i < BATCHES_MAX; i++)
		free(batches->rows[i].cells);
	memset(batches, 0, sizeof(*batches));
}

/* False if the weight lies in too few batches: connections that were all opened at once
 * are one sample of the machine. */
static bool
is_spread(const struct series *series)
{
	double sum = 0, squares = 0;
	for (size_t i = 0; i < series->count; i++) {
		sum += series->weights[i];
		squares += series->weights[i] * series->weights[i];
	}
	return squares > 0 && sum * sum / squares >= BATCHES_MIN;
}

static struct variance
variance_of(const struct series *series)
{
	struct variance found = { .known = false };
	double values = 0, weights = 0, squares = 0, products = 0, before = 0;
	double n = (double)series->count;
	if (series->count < BATCHES_MIN || !is_spread(series))
		return found;
	for (size_t i = 0; i < series->count; i++) {
		values += series->values[i];
		weights += series->weights[i];
	}
	found.ratio = values / weights;
	for (size_t i = 0; i < series->count; i++) {
		double off = (series->values[i] - found.ratio * series->weights[i]) /
		    (weights / n);
		squares += off * off;
		products += off * before;
		before = off;
	}
	found.known = true;
	found.degrees = n - 1;
	if (squares <= 0)
		return found;
	/* The correlation of few batches is estimated too low. */
	double correlation = products / squares;
	correlation += (1 + 3 * correlation) / n;
	correlation = fmin(fmax(correlation, CORRELATION_MIN), CORRELATION_MAX);
	double inflation = (1 + correlation) / (1 - correlation);
	found.variance = squares / (n - 1) / n * inflation;
	found.degrees = fmax((n - 1) / fmax(inflation, 1), DEGREES_MIN);
	return found;
}

static double
half_of(const struct series *series)
{
	struct variance v = variance_of(series);
	return v.known ? batches_student(v.degrees) * sqrt(v.variance) : NAN;
}

static uint64_t
count_below(const struct batch *batch, int32_t end)
{
	size_t low = 0, high = batch->cell_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (batch->cells[middle].index < end)
			low = middle + 1;
		else
			high = middle;
	}
	return until(batch, low);
}

static struct series
shares_below(const struct batches *batches, int32_t end)
{
	struct series series = { .count = batches->count };
	for (size_t i = 0; i < batches->count; i++) {
		series.values[i] = (double)count_below(&batches->rows[i], end);
		series.weights[i] = (double)batches->rows[i].count;
	}
	return series;
}

struct precision
batches_percentile(
    const struct batches *batches, const struct histogram *all, double percentile)
{
	double p = percentile / 100, count = (double)histogram_count(all);
	int32_t index = histogram_index(all, histogram_percentile(all, percentile));
	/* Values that share an index are alike: takes the side nearer to p. */
	struct series with = shares_below(batches, index + 1);
	struct series without = shares_below(batches, index);
	struct variance a = variance_of(&with), b = variance_of(&without);
	if (!a.known || count < 1)
		return (struct precision){ 0 };
	struct variance *v = fabs(b.ratio - p) < fabs(a.ratio - p) ? &b : &a;
	if (v->ratio <= 0 || v->ratio >= 1)
		v = v == &a ? &b : &a;
	double spread = v->ratio * (1 - v->ratio);
	if (spread <= 0) /* all values are alike */
		return (struct precision){ count, v->degrees };
	double variance = fmax(v->variance, VARIANCE_MIN * spread / count);
	return (struct precision){ spread / variance, v->degrees };
}

double
batches_mean_half(const struct batches *batches)
{
	struct series series = { .count = batches->count };
	for (size_t i = 0; i < batches->count; i++) {
		series.values[i] = batches->rows[i].sum;
		series.weights[i] = (double)batches->rows[i].count;
	}
	return half_of(&series);
}

double
batches_ratio_half(const double *values, const double *weights, size_t count)
{
	struct series series = { .count = count < BATCHES_MAX ? count : BATCHES_MAX };
	memcpy(series.values, values, series.count * sizeof(values[0]));
	memcpy(series.weights, weights, series.count * sizeof(weights[0]));
	return half_of(&series);
}
