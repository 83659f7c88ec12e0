#include "lib/stats/beta.h"

#include <math.h>

#define TERMS_MAX 500
#define PRECISION 1e-12
#define TINY 1e-300

/* Not zero, by which the method of Lentz divides. */
static double
not_zero(double value)
{
	return fabs(value) < TINY ? TINY : value;
}

/* The continued fraction of the function (DLMF 8.17.22), evaluated by
 * the method of Lentz; it converges fast for x < (a + 1) / (a + b + 2). */
static double
beta_fraction(double a, double b, double x)
{
	double c = 1, d = 1 / not_zero(1 - (a + b) * x / (a + 1)), h = d;
	for (int m = 1; m < TERMS_MAX; m++) {
		double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
		double odd =
		    -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
		d = 1 / not_zero(1 + even * d);
		c = not_zero(1 + even / c);
		h *= d * c;
		d = 1 / not_zero(1 + odd * d);
		c = not_zero(1 + odd / c);
		h *= d * c;
		if (fabs(d * c - 1) < PRECISION)
			break;
	}
	return h;
}

double
beta_regularised(double a, double b, double x)
{
	if (x <= 0 || x >= 1)
		return x <= 0 ? 0 : 1;
	double front =
	    exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
	if (x < (a + 1) / (a + b + 2))
		return front * beta_fraction(a, b, x) / a;
	return 1 - front * beta_fraction(b, a, 1 - x) / b;
}
