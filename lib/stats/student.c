#include "lib/stats/student.h"

#include "lib/stats/beta.h"

/* Abramowitz and Stegun 26.7.1 */
double
student_upper(double t, double degrees)
{
	double tails = beta_regularised(degrees / 2, 0.5, degrees / (degrees + t * t));
	return t < 0 ? 1 - tails / 2 : tails / 2;
}
