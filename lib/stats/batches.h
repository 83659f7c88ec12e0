/*
 * batches.h - what a series of correlated values is worth: batch means.
 *
 * Consecutive latencies are alike: a queue, other load or a lower CPU clock last longer
 * than one message. An interval that takes the values for independent is far too
 * narrow. Therefore the values of a run are collected in at most BATCHES_MAX batches
 * of equal duration; when all are used, neighbours are merged and the duration
 * doubles. The variance of a share or a mean over the batches, corrected for the
 * correlation of neighbouring batches (first-order autoregressive process), says how
 * many independent values would vary as much (Law, Simulation Modeling and Analysis,
 * 9.5.3).
 */
#ifndef LIB_STATS_BATCHES_H
#define LIB_STATS_BATCHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/stats/histogram.h"

#define BATCHES_MAX 64 /* even */
/* With fewer batches the correlation cannot be estimated. */
#define BATCHES_MIN 8

/* How precisely a figure is known. */
struct precision {
	double effective; /* independent values that it is worth; 0: not estimated */
	double degrees;   /* of freedom of that estimate, for Student's t */
};

struct batch_cell {
	int32_t index;  /* of the histogram */
	uint64_t until; /* values of this and the cells before */
};

struct batch {
	struct batch_cell *cells; /* ascending by index */
	size_t cell_count;
	uint64_t count; /* values */
	double sum;     /* of the values, each rounded down to its index */
};

struct batches {
	struct batch rows[BATCHES_MAX];
	size_t count;
};

/* Appends a batch with the values of `values`. 1 when neighbours have been merged
 * first, so that the caller doubles the duration of its batches; else 0. -1 with
 * ENOMEM. */
int batches_add(struct batches *batches, const struct histogram *values)
    __attribute__((warn_unused_result));
/* Frees what the batches hold; they are empty then. */
void batches_clear(struct batches *batches);

/* The precision of a percentile (0 to 100) of `all`, the histogram of all values. */
struct precision batches_percentile(
    const struct batches *batches, const struct histogram *all, double percentile);
/* Half the width of the 95 % interval of the mean; NAN if not estimated. */
double batches_mean_half(const struct batches *batches);

/* Half the width of the 95 % interval of sum(values) / sum(weights), where each pair is
 * one of `count` (at most BATCHES_MAX) consecutive parts; NAN if not estimated. */
double batches_ratio_half(const double *values, const double *weights, size_t count);

/* The 97.5 % quantile of Student's t (Abramowitz and Stegun 26.7.5). */
double batches_student(double degrees);

#endif
