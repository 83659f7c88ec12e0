/*
 * trend_judge.h - the changes of a figure, and whether its latest run is worse.
 *
 * The reference of the latest run is the last level of at least TREND_LEVEL_MIN runs
 * before it. Of these the last 1 to 4 are also left out, as long as TREND_LEVEL_MIN
 * remain: they may be worse already, and too few for a change to be found. Events come
 * in clusters: of these all runs that are left out must be worse too. The first of the
 * five comparisons that shows a difference counts; together they have the false alarm
 * rate that is asked for.
 *
 * Durations and rates are compared by Student's t of one further value. Events are
 * compared by the exact conditional test of two Poisson counts (Przyborowski and
 * Wilenski, Biometrika 31, 1940): of all events, the latest of n + 1 runs has its share
 * by a binomial distribution of 1 / (n + 1). If the earlier runs differ by more than
 * independent events do, Student's t of the square roots must show the difference too.
 */
#ifndef CLIENT_TREND_TREND_JUDGE_H
#define CLIENT_TREND_TREND_JUDGE_H

#include "client/trend/trend.h"

/* Sets the changes, the reference and the outcome of a figure with at least one point.
 * `runs`: those of the group. `alarm`: the probability that an unchanged latest run is
 * called worse. */
void trend_judge(struct trend_figure *figure, size_t runs, double alarm);

#endif
