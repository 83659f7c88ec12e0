#include "lib/stats/histogram.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HIGHEST_MAX ((int64_t)1 << 62)
#define GROUP 8 /* counts that are tested together: most of them are zero */

static int
shape(const struct histogram_config *config, struct histogram *ret)
{
	int magnitude = 0, unit;
	int64_t largest = 2, limit;
	int32_t buckets = 1;
	if (config->lowest < 1 || config->highest > HIGHEST_MAX ||
	    config->lowest > config->highest / 2 || config->significant_digits < 1 ||
	    config->significant_digits > 5) {
		errno = EINVAL;
		return -1;
	}
	for (int i = 0; i < config->significant_digits; i++)
		largest *= 10;
	while (((int64_t)1 << magnitude) < largest)
		magnitude++;
	unit = 63 - __builtin_clzll((uint64_t)config->lowest);
	if (unit + magnitude > 61) {
		errno = EINVAL;
		return -1;
	}
	for (limit = (int64_t)1 << (magnitude + unit); limit <= config->highest;
	     limit <<= 1) {
		buckets++;
		if (limit > INT64_MAX / 2)
			break;
	}
	ret->config = *config;
	ret->unit_magnitude = unit;
	ret->half_magnitude = magnitude - 1;
	ret->sub_bucket_mask = (((int64_t)1 << magnitude) - 1) << unit;
	ret->counts_length = (buckets + 1) * (1 << ret->half_magnitude);
	return 0;
}

size_t
histogram_size(const struct histogram_config *config)
{
	struct histogram form;
	if (shape(config, &form) < 0)
		return 0;
	return sizeof(form) + (size_t)form.counts_length * sizeof(form.counts[0]);
}

struct histogram *
histogram_init_zeroed(void *memory, const struct histogram_config *config)
{
	struct histogram form = { .min = UINT64_MAX };
	if (shape(config, &form) < 0)
		return NULL;
	return memcpy(memory, &form, sizeof(form));
}

struct histogram *
histogram_create(const struct histogram_config *config)
{
	size_t size = histogram_size(config);
	void *memory = size == 0 ? NULL : calloc(1, size);
	return memory == NULL ? NULL : histogram_init_zeroed(memory, config);
}

/* The counts that may not be zero: first <= index < end. */
struct range {
	int32_t first, end;
};

static uint64_t
load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

/* From min to max only: other pages may never have been touched. */
static struct range
used_range(const struct histogram *histogram)
{
	uint64_t min = load(&histogram->min), max = load(&histogram->max);
	if (min > max)
		return (struct range){ 0, 0 };
	return (struct range){ histogram_index(histogram, min),
		histogram_index(histogram, max) + 1 };
}

/* Written out: a loop would not be unrolled. */
static bool
is_zero_group(const uint64_t *counts)
{
	return (load(&counts[0]) | load(&counts[1]) | load(&counts[2]) |
		   load(&counts[3]) | load(&counts[4]) | load(&counts[5]) |
		   load(&counts[6]) | load(&counts[7])) == 0;
}

/* True if a group begins at an index, is over before `end` and is zero. */
static bool
begins_zero_group(const uint64_t *counts, int32_t index, int32_t end)
{
	return index % GROUP == 0 && index + GROUP <= end &&
	    is_zero_group(&counts[index]);
}

void
histogram_reset(struct histogram *histogram)
{
	struct range used = used_range(histogram);
	memset(&histogram->counts[used.first], 0,
	    (size_t)(used.end - used.first) * sizeof(histogram->counts[0]));
	histogram->dropped = 0;
	histogram->total = 0;
	histogram->max = 0;
	histogram->min = UINT64_MAX;
}

bool
histogram_same_config(const struct histogram *a, const struct histogram *b)
{
	return a->config.lowest == b->config.lowest &&
	    a->config.highest == b->config.highest &&
	    a->config.significant_digits == b->config.significant_digits;
}

static uint64_t
add_count(struct histogram *to, const struct histogram *from, int32_t index)
{
	uint64_t count = load(&from->counts[index]);
	histogram_bump(&to->counts[index], count);
	return count;
}

/* Zeros are added, too: branches that cannot be predicted would take longer. */
static uint64_t
add_group(struct histogram *to, const struct histogram *from, int32_t first)
{
	return add_count(to, from, first) + add_count(to, from, first + 1) +
	    add_count(to, from, first + 2) + add_count(to, from, first + 3) +
	    add_count(to, from, first + 4) + add_count(to, from, first + 5) +
	    add_count(to, from, first + 6) + add_count(to, from, first + 7);
}

int
histogram_add(struct histogram *to, const struct histogram *from)
{
	uint64_t max = load(&from->max), min = load(&from->min), total = 0;
	if (!histogram_same_config(to, from)) {
		errno = EINVAL;
		return -1;
	}
	struct range used = used_range(from);
	int32_t i = used.first;
	for (; i < used.end && i % GROUP != 0; i++)
		total += add_count(to, from, i);
	for (; i + GROUP <= used.end; i += GROUP)
		if (!is_zero_group(&from->counts[i]))
			total += add_group(to, from, i);
	for (; i < used.end; i++)
		total += add_count(to, from, i);
	/* Not from->total: the writer may have added more. */
	histogram_bump(&to->total, total);
	histogram_bump(&to->dropped, load(&from->dropped));
	if (max > to->max)
		__atomic_store_n(&to->max, max, __ATOMIC_RELAXED);
	if (min < to->min)
		__atomic_store_n(&to->min, min, __ATOMIC_RELAXED);
	return 0;
}

int
histogram_subtract(
    struct histogram *into, const struct histogram *now, const struct histogram *before)
{
	int32_t first = -1, last = -1;
	struct range used;
	if (!histogram_same_config(into, now) || !histogram_same_config(into, before)) {
		errno = EINVAL;
		return -1;
	}
	histogram_reset(into);
	used = used_range(now);
	into->dropped = load(&now->dropped) - load(&before->dropped);
	for (int32_t i = used.first; i < used.end; i++) {
		if (begins_zero_group(now->counts, i, used.end)) {
			i += GROUP - 1;
			continue;
		}
		uint64_t count = load(&now->counts[i]) - load(&before->counts[i]);
		into->counts[i] = count;
		into->total += count;
		if (count == 0)
			continue;
		if (first < 0)
			first = i;
		last = i;
	}
	into->min = first < 0 ? UINT64_MAX : histogram_value_at(now, first);
	into->max = 0;
	if (last >= 0) {
		uint64_t top =
		    histogram_highest_equivalent(now, histogram_value_at(now, last));
		into->max = top < load(&now->max) ? top : load(&now->max);
	}
	return 0;
}

uint64_t
histogram_count(const struct histogram *histogram)
{
	return load(&histogram->total);
}

uint64_t
histogram_dropped(const struct histogram *histogram)
{
	return load(&histogram->dropped);
}

uint64_t
histogram_min(const struct histogram *histogram)
{
	uint64_t min = load(&histogram->min);
	return min == UINT64_MAX ? 0 : min;
}

uint64_t
histogram_max(const struct histogram *histogram)
{
	return load(&histogram->max);
}

static int
bucket_of(const struct histogram *histogram, uint64_t value)
{
	return 63 - __builtin_clzll(value | (uint64_t)histogram->sub_bucket_mask) -
	    histogram->unit_magnitude - histogram->half_magnitude;
}

uint64_t
histogram_lowest_equivalent(const struct histogram *histogram, uint64_t value)
{
	int shift = bucket_of(histogram, value) + histogram->unit_magnitude;
	return value >> shift << shift;
}

uint64_t
histogram_highest_equivalent(const struct histogram *histogram, uint64_t value)
{
	int shift = bucket_of(histogram, value) + histogram->unit_magnitude;
	return (value >> shift << shift) + ((uint64_t)1 << shift) - 1;
}

uint64_t
histogram_value_at(const struct histogram *histogram, int32_t index)
{
	int half = histogram->half_magnitude;
	int bucket = (index >> half) - 1;
	int32_t sub = (index & ((1 << half) - 1)) + (1 << half);
	if (bucket < 0) {
		sub -= 1 << half;
		bucket = 0;
	}
	return (uint64_t)sub << (bucket + histogram->unit_magnitude);
}

bool
histogram_next(const struct histogram *histogram, struct histogram_cursor *cursor)
{
	uint64_t min = load(&histogram->min), max = load(&histogram->max);
	if (cursor->end == 0 && min <= max) {
		cursor->next = histogram_index(histogram, min);
		cursor->end = histogram_index(histogram, max) + 1;
	}
	while (cursor->next < cursor->end) {
		int32_t index = cursor->next;
		if (begins_zero_group(histogram->counts, index, cursor->end)) {
			cursor->next += GROUP;
			continue;
		}
		cursor->next++;
		uint64_t count = load(&histogram->counts[index]);
		if (count == 0)
			continue;
		cursor->index = index;
		cursor->value = histogram_value_at(histogram, index);
		cursor->count = count;
		cursor->cumulative += count;
		return true;
	}
	return false;
}

/* The middle of the values that share an index, as in the other implementations. */
static double
middle(const struct histogram *histogram, uint64_t value)
{
	uint64_t high = histogram_highest_equivalent(histogram, value);
	return (double)(value + (high - value + 1) / 2);
}

double
histogram_mean(const struct histogram *histogram)
{
	struct histogram_cursor cursor = { 0 };
	double sum = 0;
	while (histogram_next(histogram, &cursor))
		sum += middle(histogram, cursor.value) * (double)cursor.count;
	return cursor.cumulative == 0 ? 0 : sum / (double)cursor.cumulative;
}

double
histogram_stddev(const struct histogram *histogram)
{
	struct histogram_cursor cursor = { 0 };
	double mean = histogram_mean(histogram), sum = 0;
	while (histogram_next(histogram, &cursor)) {
		double off = middle(histogram, cursor.value) - mean;
		sum += off * off * (double)cursor.count;
	}
	return cursor.cumulative == 0 ? 0 : sqrt(sum / (double)cursor.cumulative);
}

static uint64_t
sum_group(const uint64_t *counts)
{
	return load(&counts[0]) + load(&counts[1]) + load(&counts[2]) +
	    load(&counts[3]) + load(&counts[4]) + load(&counts[5]) + load(&counts[6]) +
	    load(&counts[7]);
}

/* Moves to the index of a rank, at most to `last`. */
static void
move_to(const struct histogram *histogram, struct histogram_walk *walk, uint64_t rank,
    int32_t last)
{
	uint64_t sum;
	while (walk->index + GROUP <= last &&
	    walk->below + (sum = sum_group(&histogram->counts[walk->index])) < rank) {
		walk->below += sum;
		walk->index += GROUP;
	}
	while (walk->index < last &&
	    walk->below + (sum = load(&histogram->counts[walk->index])) < rank) {
		walk->below += sum;
		walk->index++;
	}
}

uint64_t
histogram_walk_to(
    const struct histogram *histogram, struct histogram_walk *walk, uint64_t rank)
{
	uint64_t min = load(&histogram->min), max = load(&histogram->max);
	if (min > max)
		return 0;
	int32_t first = histogram_index(histogram, min);
	if (rank == 0)
		rank = 1;
	if (walk->index < first || rank <= walk->below)
		*walk = (struct histogram_walk){ first, 0 };
	move_to(histogram, walk, rank, histogram_index(histogram, max));
	uint64_t value = histogram_highest_equivalent(
	    histogram, histogram_value_at(histogram, walk->index));
	return value < max ? value : max;
}

uint64_t
histogram_walk_to_percentile(
    const struct histogram *histogram, struct histogram_walk *walk, double percentile)
{
	double count = (double)histogram_count(histogram);
	double rank;
	if (percentile >= 100)
		return histogram_max(histogram);
	if (percentile < 0)
		percentile = 0;
	/* 99.9 % of 1000 is rank 999; in doubles it is 999.0000000001. */
	rank = ceil(nextafter(percentile, 0) / 100 * count);
	return histogram_walk_to(
	    histogram, walk, rank < 0x1p64 ? (uint64_t)rank : UINT64_MAX);
}

uint64_t
histogram_percentile(const struct histogram *histogram, double percentile)
{
	struct histogram_walk walk = { 0 };
	return histogram_walk_to_percentile(histogram, &walk, percentile);
}
