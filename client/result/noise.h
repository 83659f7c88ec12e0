/*
 * noise.h - how far a figure of a run may lie off because one second differs from the
 * next.
 *
 * Values that come one after the other are alike: other load on the machine, a queue
 * that fills, a clock that slows down last longer than a message. Thousands of values
 * of a second are then worth hardly more than one, and an interval that takes each for
 * independent is far too narrow. The seconds (struct result_second) are taken as the
 * batches: their own standard deviation, with the quantile of Student's t for their
 * number (batch means: Law, Simulation Modeling and Analysis, 9.5.3).
 *
 * What differs between two runs and not within one, it cannot know.
 */
#ifndef CLIENT_RESULT_NOISE_H
#define CLIENT_RESULT_NOISE_H

#include <stdbool.h>

#include "lib/stats/percentile_interval.h"

#include "client/result/result.h"

/* Half the width of the 95 % interval of each figure of response, as a part of it; NAN
 * where too few seconds know it. */
struct noise {
	double mean, p50, p90, p99;
	bool known; /* the run has seconds enough to know any */
};

struct noise noise_of(const struct result *result);

/* The interval of a percentile of `which`, as wide as the seconds make it. What they do
 * not know of other percentiles and histograms is taken to vary as that of the response
 * does. */
struct percentile_interval noise_interval(const struct result *result,
    const struct noise *noise, enum latency_kind which, double percentile);

/* The 97.5 % quantile of Student's t. */
double noise_student(double degrees);

#endif
