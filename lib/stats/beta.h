/* beta.h - the incomplete beta function, of which tails of Student's t and of the
 * binomial distribution are values. */
#ifndef LIB_STATS_BETA_H
#define LIB_STATS_BETA_H

/* The regularised incomplete beta function I_x(a, b), a and b above 0 (DLMF 8.17.2). Of
 * n trials that succeed with probability x at least k do, k above 0, with the
 * probability I_x(k, n - k + 1) (DLMF 8.17.5). */
double beta_regularised(double a, double b, double x);

#endif
