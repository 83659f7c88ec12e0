/*
 * change_points.h - where the level of a series of runs has changed.
 *
 * At each place where at least CHANGE_POINTS_SEGMENT_MIN values are on both sides, the
 * two sides are compared by Student's t; the place with the largest t is a change if
 * that exceeds a critical value, and both sides are then examined in the same way
 * (binary segmentation; Scott and Knott, Biometrics 30, 1974). The critical values come
 * from simulated unchanged series: of those whose neighbours are correlated
 * (first-order autoregressive process, 0.3, as runs of one machine are) at most 1 in
 * 200 shows a change; of independent ones fewer.
 */
#ifndef LIB_STATS_CHANGE_POINTS_H
#define LIB_STATS_CHANGE_POINTS_H

#include <stddef.h>

#define CHANGE_POINTS_SERIES_MIN 8 /* in fewer values no change is found */
#define CHANGE_POINTS_SEGMENT_MIN 3
#define CHANGE_POINTS_FALSE_ALARMS 200 /* at most 1 in 200 unchanged series */

/* Writes the index of the first value behind each change, ascending, to
 * ret[count / CHANGE_POINTS_SEGMENT_MIN]. Values whose standard deviation is below
 * `noise` are taken to have that one. Returns the number of changes. The critical
 * values are of series of up to 1,000 values; in longer ones false alarms are more
 * frequent. */
size_t change_points_find(
    const double *values, size_t count, double noise, size_t *ret);

#endif
