#include "lib/stats/chi_square.h"

#include <math.h>

#define TERMS_MAX 1000
#define PRECISION 1e-12

/* Lower regularised gamma function P(a, x), by its series (DLMF 8.11.4). */
static double
lower_series(double a, double x)
{
	double term = 1 / a, sum = term;
	for (int i = 1; i < TERMS_MAX && term > sum * PRECISION; i++) {
		term *= x / (a + i);
		sum += term;
	}
	return sum * exp(-x + a * log(x) - lgamma(a));
}

/* Upper regularised gamma function Q(a, x), by its continued fraction (DLMF 8.9.2),
 * evaluated by the method of Lentz. */
static double
upper_fraction(double a, double x)
{
	const double tiny = 1e-300;
	double b = x + 1 - a, c = 1 / tiny, d = 1 / b, h = d;
	for (int i = 1; i < TERMS_MAX; i++) {
		double an = -i * (i - a);
		b += 2;
		d = an * d + b;
		d = fabs(d) < tiny ? tiny : d;
		c = b + an / c;
		c = fabs(c) < tiny ? tiny : c;
		d = 1 / d;
		double factor = d * c;
		h *= factor;
		if (fabs(factor - 1) < PRECISION)
			break;
	}
	return h * exp(-x + a * log(x) - lgamma(a));
}

double
chi_square_upper(double x, double degrees)
{
	double a = degrees / 2, half = x / 2;
	if (!(half > 0))
		return 1;
	return half < a + 1 ? 1 - lower_series(a, half) : upper_fraction(a, half);
}

double
chi_square_fair(const uint64_t *counts, size_t n)
{
	double sum = 0, x = 0;
	for (size_t i = 0; i < n; i++)
		sum += (double)counts[i];
	if (n < 2 || sum <= 0)
		return 1;
	double expected = sum / (double)n;
	for (size_t i = 0; i < n; i++) {
		double difference = (double)counts[i] - expected;
		x += difference * difference / expected;
	}
	return chi_square_upper(x, (double)n - 1);
}
