#include "client/result/noise.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#include "lib/xmalloc.h"

#define NORMAL_95 1.96
#define SECONDS_MIN 5
#define AUTOCORRELATION_MAX 0.8

double
noise_student(double degrees)
{
	const double z = NORMAL_95, cube = z * z * z;
	return z + (cube + z) / (4 * degrees) +
	    (5 * cube * z * z + 16 * cube + 3 * z) / (96 * degrees * degrees);
}

static double
mean_of(const struct sampler_second *second)
{
	return second->mean_ns;
}

#define PERCENTILE(name)                                                               \
	static double name##_of(const struct sampler_second *second)                   \
	{                                                                              \
		return second->name##_ns == UINT64_MAX ? NAN                           \
						       : (double)second->name##_ns;    \
	}
PERCENTILE(p50)
PERCENTILE(p90)
PERCENTILE(p99)

/* The values of a figure in whole seconds, in order of time. */
struct batches {
	double *values;
	size_t count;
	double mean;
};

static bool
take_batches(const struct result *result,
    double (*figure)(const struct sampler_second *), struct batches *ret)
{
	double *values = xcalloc(result->second_count, sizeof(*values));
	double sum = 0;
	size_t count = 0;
	for (size_t i = 0; i < result->second_count; i++) {
		const struct sampler_second *second = &result->seconds[i];
		double value = figure(second);
		if (!sampler_second_is_whole(second) || second->count == 0 ||
		    isnan(value))
			continue;
		values[count++] = value;
		sum += value;
	}
	*ret = (struct batches){ values, count, count > 0 ? sum / (double)count : 0 };
	if (count >= SECONDS_MIN)
		return true;
	free(values);
	return false;
}

/* The factor on the standard error of independent values if each resembles the one
 * before (first-order autoregressive process). */
static double
autocorrelation_factor(const struct batches *batches)
{
	double together = 0, alone = 0;
	for (size_t i = 0; i < batches->count; i++) {
		double off = batches->values[i] - batches->mean;
		alone += off * off;
		if (i > 0)
			together += off * (batches->values[i - 1] - batches->mean);
	}
	double autocorrelation =
	    alone > 0 ? fmin(fmax(together / alone, 0), AUTOCORRELATION_MAX) : 0;
	return sqrt((1 + autocorrelation) / (1 - autocorrelation));
}

static double
by_deviation(const struct batches *batches)
{
	double squares = 0, n = (double)batches->count;
	for (size_t i = 0; i < batches->count; i++)
		squares += pow(batches->values[i] - batches->mean, 2);
	return noise_student(n - 1) * sqrt(squares / (n - 1) / n);
}

static int
ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

/* Half the 95 % interval of the median, which is wide if the seconds fall into two
 * groups. Sorts the values. */
static double
by_rank(const struct batches *batches)
{
	double *values = batches->values, n = (double)batches->count;
	size_t low = (size_t)fmax(0, floor(n / 2 - NORMAL_95 / 2 * sqrt(n)));
	size_t high = batches->count - 1 - low;
	qsort(values, batches->count, sizeof(*values), ascending);
	double middle = values[batches->count / 2];
	return fmax(middle - values[low], values[high] - middle);
}

static double
half_width(const struct result *result, double (*figure)(const struct sampler_second *))
{
	struct batches batches;
	if (!take_batches(result, figure, &batches))
		return NAN;
	double half = by_deviation(&batches) * autocorrelation_factor(&batches);
	half = fmax(half, by_rank(&batches));
	free(batches.values);
	return half / fmax(batches.mean, 1);
}

struct noise
noise_of(const struct result *result)
{
	struct noise noise = {
		.mean = half_width(result, mean_of),
		.p50 = half_width(result, p50_of),
		.p90 = half_width(result, p90_of),
		.p99 = half_width(result, p99_of),
	};
	noise.known = !isnan(noise.mean);
	return noise;
}

static double
part_of(const struct noise *noise, double percentile)
{
	double part = percentile <= 50 ? noise->p50 : noise->p90;
	if (percentile > 90)
		part = fmax(part, noise->p99);
	return isnan(part) ? noise->mean : part;
}

/* Service is a part of response: a disturbance adds the same time to both, unless the
 * message waits in the client. */
static double
scale_to_response(const struct result *result, enum latency_kind which,
    double percentile, double value)
{
	double response =
	    (double)histogram_percentile(result->latency[LATENCY_RESPONSE], percentile);
	return which == LATENCY_SERVICE ? fmax(value, fmin(response, 2 * value))
					: value;
}

struct percentile_interval
noise_interval(const struct result *result, const struct noise *noise,
    enum latency_kind which, double percentile)
{
	struct percentile_interval c = result_percentile(result, which, percentile);
	double value = (double)c.value, half;
	if (!c.known || !noise->known)
		return c;
	half = part_of(noise, percentile) *
	    scale_to_response(result, which, percentile, value);
	c.low = result_whole(fmin((double)c.low, value - half));
	c.high = result_whole(fmax((double)c.high, value + half));
	return c;
}
