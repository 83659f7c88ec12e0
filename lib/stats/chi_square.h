/* chi_square.h - Pearson's test of goodness of fit. */
#ifndef LIB_STATS_CHI_SQUARE_H
#define LIB_STATS_CHI_SQUARE_H

#include <stddef.h>
#include <stdint.h>

/* The probability that `n` counts of independent events, each of which is equally
 * likely to fall to any count, differ as much as these or more. 1 with fewer than two
 * counts, or without events. An approximation, good from 5 events a count. */
double chi_square_fair(const uint64_t *counts, size_t n);

/* The probability that chi-square with that many degrees of freedom is at least x. */
double chi_square_upper(double x, double degrees);

#endif
