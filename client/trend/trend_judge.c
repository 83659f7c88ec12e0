#include "client/trend/trend_judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/stats/beta.h"
#include "lib/stats/change_points.h"
#include "lib/stats/student.h"
#include "lib/xmalloc.h"

/* Equal runs do not differ by less: of a logarithm, a part; of the square root of a
 * count of independent events, its standard deviation. */
#define NOISE_PART 0.001
#define NOISE_EVENTS 0.5

const char *const trend_outcome_names[] = { "too few", "noise", "better", "WORSE",
	"not known" };

static double
noise_of(const struct trend_figure *figure)
{
	return figure->unit == COMPARISON_EVENTS ? NOISE_EVENTS : NOISE_PART;
}

/* A value on the scale on which equal runs vary by the same amount. */
static double
scaled(const struct trend_figure *figure, double value)
{
	return figure->unit == COMPARISON_EVENTS ? sqrt(fmax(value, 0))
						 : log(fmax(value, 1e-9));
}

static double *
scaled_points(const struct trend_figure *figure)
{
	double *values = xcalloc(figure->point_count + 1, sizeof(*values));
	for (size_t i = 0; i < figure->point_count; i++)
		values[i] = scaled(figure, figure->points[i].value);
	return values;
}

static int
by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

double
trend_level(const struct trend_figure *figure, size_t first, size_t end)
{
	size_t count = end - first;
	double *values = xcalloc(count, sizeof(*values));
	for (size_t i = 0; i < count; i++)
		values[i] = figure->points[first + i].value;
	qsort(values, count, sizeof(*values), by_value);
	double median = (values[(count - 1) / 2] + values[count / 2]) / 2;
	free(values);
	return median;
}

/* Wrong bytes are not random: the first is worse. */
static bool
is_fault(const struct trend_figure *figure)
{
	return strcmp(figure->name, "wrong") == 0 ||
	    strcmp(figure->name, "extra bytes") == 0;
}

/* The probabilities that an unchanged latest run is at least as high, or as low. */
struct tails {
	double high, low;
};

/* Student's t of a further value. */
static struct tails
tails_of_value(const double *earlier, size_t count, double latest, double noise)
{
	double n = (double)count, mean = 0, squares = 0;
	for (size_t i = 0; i < count; i++)
		mean += earlier[i] / n;
	for (size_t i = 0; i < count; i++)
		squares += (earlier[i] - mean) * (earlier[i] - mean);
	double deviation = fmax(sqrt(squares / (n - 1)), noise);
	double t = (latest - mean) / (deviation * sqrt(1 + 1 / n));
	return (struct tails){ student_upper(t, n - 1), student_upper(-t, n - 1) };
}

/* Runs with a number of events against the reference. */
static struct tails
tails_of_events(const struct trend_figure *figure, const double *values, double events)
{
	const struct trend_point *earlier = figure->points + figure->reference_first;
	size_t count = figure->reference_end - figure->reference_first;
	double n = (double)count, sum = 0, squares = 0;
	for (size_t i = 0; i < count; i++)
		sum += earlier[i].value;
	for (size_t i = 0; i < count; i++)
		squares += pow(earlier[i].value - sum / n, 2);
	struct tails tails = {
		.high = events > 0 ? beta_regularised(events, sum + 1, 1 / (n + 1)) : 1,
		.low = sum > 0 ? 1 - beta_regularised(events + 1, sum, 1 / (n + 1)) : 1,
	};
	if (squares / (n - 1) <= sum / n)
		return tails;
	struct tails t = tails_of_value(values + figure->reference_first, count,
	    scaled(figure, events), NOISE_EVENTS);
	return (struct tails){ fmax(tails.high, t.high), fmax(tails.low, t.low) };
}

/* The last value against the reference. Events come in clusters, which make single runs
 * differ: with the runs from `first_left_out` to the latest, the one with the fewest
 * events must be worse, or the one with the most better. */
static enum trend_outcome
compare(const struct trend_figure *figure, const double *values, size_t first_left_out,
    double alarm)
{
	size_t first = figure->reference_first, last = figure->point_count - 1;
	struct tails tails;
	if (figure->unit == COMPARISON_EVENTS) {
		double fewest = figure->points[last].value, most = fewest;
		for (size_t i = first_left_out; i < last; i++) {
			fewest = fmin(fewest, figure->points[i].value);
			most = fmax(most, figure->points[i].value);
		}
		tails.high = tails_of_events(figure, values, fewest).high;
		tails.low = tails_of_events(figure, values, most).low;
	} else {
		tails = tails_of_value(values + first, figure->reference_end - first,
		    values[last], NOISE_PART);
	}
	bool more_is_better = figure->unit == COMPARISON_COUNT;
	if (fmin(tails.high, tails.low) > alarm)
		return TREND_NOISE;
	return (tails.high < tails.low) == more_is_better ? TREND_BETTER : TREND_WORSE;
}

/* True if the reference has no events, and the latest run has. */
static bool
is_first_fault(const struct trend_figure *figure)
{
	size_t first = figure->reference_first, end = figure->reference_end;
	for (size_t i = first; i < end; i++)
		if (figure->points[i].value > 0)
			return false;
	return is_fault(figure) && first < end &&
	    figure->points[figure->point_count - 1].value > 0;
}

/* The last level of at least TREND_LEVEL_MIN of the points before `end`, else the last
 * level, which begins before `end`. */
static void
find_reference(struct trend_figure *figure, size_t end)
{
	size_t level = figure->change_count, behind = end;
	size_t first = level > 0 ? figure->changes[level - 1] : 0;
	figure->reference_first = first;
	figure->reference_end = end;
	while (behind - first < TREND_LEVEL_MIN) {
		if (level == 0)
			return;
		level--;
		behind = first;
		first = level > 0 ? figure->changes[level - 1] : 0;
	}
	figure->reference_first = first;
	figure->reference_end = behind;
}

/* The latest run against the reference, and against that without its last runs. Half of
 * `alarm` is spent: a third in the first comparison, a sixth in the others together.
 * Neighbouring runs are correlated, and vary less than they would if they were not. */
static enum trend_outcome
judge_latest(struct trend_figure *figure, const double *values, double alarm)
{
	size_t first = figure->reference_first, end = figure->reference_end;
	enum trend_outcome outcome = TREND_UNKNOWN;
	for (size_t left_out = 0; left_out < TREND_LEVEL_MIN; left_out++) {
		double share = left_out == 0 ? 3 : 6 * (TREND_LEVEL_MIN - 1);
		if (first + left_out >= end)
			break;
		figure->reference_end = end - left_out;
		if (is_first_fault(figure))
			return TREND_WORSE;
		if (figure->reference_end - first < TREND_LEVEL_MIN)
			continue;
		outcome = compare(figure, values,
		    left_out == 0 ? figure->point_count - 1 : figure->reference_end,
		    alarm / share);
		if (outcome != TREND_NOISE)
			return outcome;
	}
	figure->reference_end = end;
	return outcome;
}

/* False for durations of which one is zero, such as the dark time of a run without an
 * outage: their scale has no zero, and they are not judged. */
static bool
has_scale(const struct trend_figure *figure)
{
	for (size_t i = 0; i < figure->point_count; i++)
		if (figure->unit == COMPARISON_DURATION && figure->points[i].value <= 0)
			return false;
	return true;
}

void
trend_judge(struct trend_figure *figure, size_t runs, double alarm)
{
	double *values = scaled_points(figure);
	size_t last = figure->point_count - 1;
	bool is_missing = figure->points[last].run + 1 < runs;
	figure->changes = xcalloc(figure->point_count / CHANGE_POINTS_SEGMENT_MIN + 1,
	    sizeof(*figure->changes));
	if (has_scale(figure))
		figure->change_count = change_points_find(
		    values, figure->point_count, noise_of(figure), figure->changes);
	find_reference(figure, is_missing ? figure->point_count : last);
	figure->latest = is_missing ? TREND_MISSING
	    : has_scale(figure)     ? judge_latest(figure, values, alarm)
				    : TREND_UNKNOWN;
	free(values);
}
