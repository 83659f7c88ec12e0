/*
 * noise.h - the uncertainty of a figure, from the variation between the seconds of a
 * run.
 *
 * Consecutive latencies are alike: other load on the machine, a growing queue or a
 * lower CPU clock last longer than one message. Thousands of samples within a second
 * are worth little more than one, and an interval that assumes independent samples is
 * far too narrow. Therefore the seconds (struct sampler_second) are used as batches:
 * their standard deviation, with the quantile of Student's t for their number (batch
 * means: Law, Simulation Modeling and Analysis, 9.5.3).
 *
 * Variation between runs is not visible within one run.
 */
#ifndef CLIENT_RESULT_NOISE_H
#define CLIENT_RESULT_NOISE_H

#include <stdbool.h>

#include "lib/stats/percentile_interval.h"
#include "client/result/result.h"

/* Half the width of the 95 % interval of each response figure, relative to the figure;
 * NAN if too few seconds contain it. */
struct noise {
	double mean, p50, p90, p99;
	bool known; /* the run has enough seconds for the mean */
};

struct noise noise_of(const struct result *result);

/* The 95 % interval of a percentile, widened by the variation between the seconds.
 * Other percentiles and histograms are assumed to vary like the response. */
struct percentile_interval noise_interval(const struct result *result,
    const struct noise *noise, enum latency_kind which, double percentile);

/* The 97.5 % quantile of Student's t. */
double noise_student(double degrees);

#endif
