/*
 * histogram.h - an HdrHistogram in memory of the caller, so that it can be shared.
 *
 * Values from `lowest` to `highest` are counted with a relative error of at most
 * 10^-significant_digits. One process writes, others may read at any time: each count
 * is correct, all of them together differ by a few records. Histograms of the same
 * configuration add exactly, count by count.
 *
 * Indexes are those of the Java and C implementations (github.com/HdrHistogram), so
 * that histogram_codec.h writes the same bytes.
 */
#ifndef LIB_STATS_HISTOGRAM_H
#define LIB_STATS_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct histogram_config {
	int64_t lowest;         /* smallest value distinguished from 0; at least 1 */
	int64_t highest;        /* at least 2 * lowest, at most 2^62 */
	int significant_digits; /* 1 to 5 */
};

/* Only the inline functions below and the codec use the fields. */
struct histogram {
	struct histogram_config config;
	int32_t unit_magnitude;
	int32_t half_magnitude; /* log2 of half the sub-buckets */
	int64_t sub_bucket_mask;
	int32_t counts_length;
	uint64_t dropped; /* values above `highest`, which are not counted */
	uint64_t total;   /* counted values */
	uint64_t max;     /* 0 when empty */
	uint64_t min;     /* UINT64_MAX when empty */
	uint64_t counts[];
};

/* Bytes that a histogram needs, a multiple of 8; 0 with errno EINVAL for an invalid
 * configuration. */
size_t histogram_size(const struct histogram_config *config);

/* Makes an empty histogram in zeroed memory[histogram_size()], aligned for uint64_t;
 * does not touch the pages of counts. NULL with errno EINVAL for an invalid
 * configuration. */
struct histogram *histogram_init_zeroed(
    void *memory, const struct histogram_config *config);

/* Makes an empty histogram on the heap; the caller frees it. NULL with errno. */
struct histogram *histogram_create(const struct histogram_config *config)
    __attribute__((warn_unused_result));

/* Empties it; the configuration stays. */
void histogram_reset(struct histogram *histogram);

static inline int32_t
histogram_index(const struct histogram *histogram, uint64_t value)
{
	int half = histogram->half_magnitude;
	int unit = histogram->unit_magnitude;
	int bucket = 63 -
	    __builtin_clzll(value | (uint64_t)histogram->sub_bucket_mask) - unit - half;
	int32_t sub = (int32_t)(value >> (bucket + unit));
	return (
	    int32_t)(((uint32_t)(bucket + 1) << half) + (uint32_t)sub - (1U << half));
}

/* For the one writer of a word that others read. */
static inline void
histogram_bump(uint64_t *word, uint64_t count)
{
	__atomic_store_n(
	    word, __atomic_load_n(word, __ATOMIC_RELAXED) + count, __ATOMIC_RELAXED);
}

/* Counts `value` `count` times. A value above `highest` counts as dropped only. */
static inline void
histogram_record_many(struct histogram *histogram, uint64_t value, uint64_t count)
{
	if (__builtin_expect(value > (uint64_t)histogram->config.highest, 0)) {
		histogram_bump(&histogram->dropped, count);
		return;
	}
	histogram_bump(&histogram->counts[histogram_index(histogram, value)], count);
	histogram_bump(&histogram->total, count);
	if (value > histogram->max)
		__atomic_store_n(&histogram->max, value, __ATOMIC_RELAXED);
	if (value < histogram->min)
		__atomic_store_n(&histogram->min, value, __ATOMIC_RELAXED);
}

static inline void
histogram_record(struct histogram *histogram, uint64_t value)
{
	histogram_record_many(histogram, value, 1);
}

bool histogram_same_config(const struct histogram *a, const struct histogram *b);

/* 0, or -1 with errno EINVAL if the configurations differ (*to is unchanged). */
int histogram_add(struct histogram *to, const struct histogram *from)
    __attribute__((warn_unused_result));

/* into = now - before, where `before` is an earlier copy of `now`. min and max of the
 * difference are rounded to the resolution. 0, or -1 with errno EINVAL if the
 * configurations differ. */
int histogram_subtract(struct histogram *into, const struct histogram *now,
    const struct histogram *before) __attribute__((warn_unused_result));

uint64_t histogram_count(const struct histogram *histogram);
uint64_t histogram_dropped(const struct histogram *histogram);
uint64_t histogram_min(const struct histogram *histogram); /* 0 when empty */
uint64_t histogram_max(const struct histogram *histogram); /* 0 when empty */
double histogram_mean(const struct histogram *histogram);  /* 0 when empty */
double histogram_stddev(const struct histogram *histogram);

/* The value that `percentile` (0 to 100) percent of the values do not exceed: the
 * highest equivalent of the value at that rank, at most max. 0 when empty. */
uint64_t histogram_percentile(const struct histogram *histogram, double percentile);

/* Values at several ranks (1 to count, clamped) or percentiles by the same rule: in
 * ascending order, all of them together read the counts once. A lower one than that
 * before is found, too, from the start again. Begin with { 0 }, and with a histogram
 * that does not change meanwhile. */
struct histogram_walk {
	int32_t index;
	uint64_t below; /* values of lower indexes */
};
uint64_t histogram_walk_to(
    const struct histogram *histogram, struct histogram_walk *walk, uint64_t rank);
uint64_t histogram_walk_to_percentile(
    const struct histogram *histogram, struct histogram_walk *walk, double percentile);

/* First and last of the values that share an index with `value`. */
uint64_t histogram_lowest_equivalent(const struct histogram *histogram, uint64_t value);
uint64_t histogram_highest_equivalent(
    const struct histogram *histogram, uint64_t value);

/* The first value with this index. */
uint64_t histogram_value_at(const struct histogram *histogram, int32_t index);

/* Walks the non-zero counts in ascending order:
 *	struct histogram_cursor cursor = { 0 };
 *	while (histogram_next(histogram, &cursor)) ... */
struct histogram_cursor {
	int32_t next, end; /* next index to test, and the end */
	int32_t index;
	uint64_t value; /* first value with this index */
	uint64_t count;
	uint64_t cumulative; /* sum of the counts so far */
};
bool histogram_next(const struct histogram *histogram, struct histogram_cursor *cursor);

#endif
