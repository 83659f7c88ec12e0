#include "client/trend/trend.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/stats/change_points.h"
#include "lib/stats/student.h"
#include "lib/xmalloc.h"

#define GROUP_NAME_MAX 1024
/* Of all figures of a group together, in the latest run. */
#define FALSE_ALARM (1.0 / CHANGE_POINTS_FALSE_ALARMS)
/* Equal runs do not differ by less: of a logarithm, a part; of the square root of a
 * count of independent events, its standard deviation. */
#define NOISE_PART 0.001
#define NOISE_EVENTS 0.5

const char *const trend_outcome_names[] = { "too few runs", "within noise", "better",
	"WORSE", "not known" };

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

size_t
trend_level_start(const struct trend_figure *figure)
{
	size_t i = figure->change_count;
	while (i > 0 && figure->changes[i - 1] + 1 >= figure->point_count)
		i--;
	return i > 0 ? figure->changes[i - 1] : 0;
}

size_t
trend_level_end(const struct trend_figure *figure)
{
	return figure->point_count - (figure->latest != TREND_MISSING);
}

/* Wrong bytes are not random: the first is worse. */
static bool
is_fault(const struct trend_figure *figure)
{
	return strcmp(figure->name, "wrong") == 0 ||
	    strcmp(figure->name, "extra bytes") == 0;
}

/* The last value against those of its level: Student's t of a further value. */
static enum trend_outcome
judge_latest(const struct trend_figure *figure, const double *values, double alarm)
{
	size_t first = trend_level_start(figure), last = figure->point_count - 1;
	double n = (double)(last - first), mean = 0, squares = 0;
	for (size_t i = first; i < last; i++)
		mean += values[i] / n;
	for (size_t i = first; i < last; i++)
		squares += (values[i] - mean) * (values[i] - mean);
	if (last > first && is_fault(figure) && mean == 0 && values[last] > 0)
		return TREND_WORSE;
	if (n < TREND_LEVEL_MIN)
		return TREND_UNKNOWN;
	double deviation = fmax(sqrt(squares / (n - 1)), noise_of(figure));
	double t = (values[last] - mean) / (deviation * sqrt(1 + 1 / n));
	if (student_upper(fabs(t), n - 1) > alarm)
		return TREND_NOISE;
	bool more_is_better = figure->unit == COMPARISON_COUNT;
	return (t > 0) == more_is_better ? TREND_BETTER : TREND_WORSE;
}

static void
judge(struct trend_figure *figure, size_t runs, double alarm)
{
	double *values = scaled_points(figure);
	figure->changes = xcalloc(figure->point_count / CHANGE_POINTS_SEGMENT_MIN + 1,
	    sizeof(*figure->changes));
	figure->change_count = change_points_find(
	    values, figure->point_count, noise_of(figure), figure->changes);
	figure->latest = figure->points[figure->point_count - 1].run + 1 < runs
	    ? TREND_MISSING
	    : judge_latest(figure, values, alarm);
	free(values);
}

static struct trend_figure *
find_figure(struct trend_group *group, const struct comparison_row *row)
{
	for (size_t i = 0; i < group->figure_count; i++)
		if (strcmp(group->figures[i].name, row->name) == 0)
			return &group->figures[i];
	group->figures = xreallocarray(
	    group->figures, group->figure_count + 1, sizeof(*group->figures));
	struct trend_figure *figure = &group->figures[group->figure_count++];
	*figure = (struct trend_figure){ .name = row->name, .unit = row->unit };
	figure->points = xcalloc(group->run_count, sizeof(*figure->points));
	return figure;
}

/* The interval is that within the run: what single runs are assumed to differ by is
 * taken out of it again. */
static struct trend_point
point_of(const struct comparison_estimate *figure, size_t run)
{
	double assumed = figure->value * figure->run_part;
	return (struct trend_point){ run, figure->value, figure->low + assumed,
		figure->high - assumed, figure->has_interval };
}

/* Figures that no run knows. */
static void
drop_unknown(struct trend_group *group)
{
	size_t kept = 0;
	for (size_t i = 0; i < group->figure_count; i++) {
		if (group->figures[i].point_count > 0)
			group->figures[kept++] = group->figures[i];
		else
			free(group->figures[i].points);
	}
	group->figure_count = kept;
}

static void
collect_figures(struct trend_group *group)
{
	for (size_t run = 0; run < group->run_count; run++)
		for (size_t i = 0; i < group->runs[run]->row_count; i++) {
			const struct comparison_row *row = &group->runs[run]->rows[i];
			struct trend_figure *figure = find_figure(group, row);
			if (row->base.known)
				figure->points[figure->point_count++] =
				    point_of(&row->base, run);
		}
	drop_unknown(group);
	for (size_t i = 0; i < group->figure_count; i++)
		judge(&group->figures[i], group->run_count,
		    FALSE_ALARM / (double)group->figure_count);
}

static const char *
group_name(const struct trend_run *run, const char *const *keys, size_t key_count,
    char name[GROUP_NAME_MAX])
{
	size_t length = 0;
	name[0] = '\0';
	for (size_t i = 0; i < key_count && length < GROUP_NAME_MAX; i++) {
		const char *value = labels_find(&run->labels, keys[i]);
		length += (size_t)snprintf(name + length, GROUP_NAME_MAX - length,
		    "%s%s=%s", i > 0 ? ", " : "", keys[i], value != NULL ? value : "");
	}
	return name;
}

static struct trend_group *
find_group(struct trend_group **groups, size_t *count, const char *name, size_t runs)
{
	for (size_t i = 0; i < *count; i++)
		if (strcmp((*groups)[i].name, name) == 0)
			return &(*groups)[i];
	*groups = xreallocarray(*groups, *count + 1, sizeof(**groups));
	struct trend_group *group = &(*groups)[(*count)++];
	*group = (struct trend_group){ .name = xstrdup(name) };
	group->runs = xcalloc(runs, sizeof(const struct trend_run *));
	return group;
}

/* Keeps the latest TREND_RUNS_MAX runs. */
static void
limit_runs(struct trend_group *group)
{
	if (group->run_count <= TREND_RUNS_MAX)
		return;
	group->left_out = group->run_count - TREND_RUNS_MAX;
	memmove(group->runs, group->runs + group->left_out,
	    TREND_RUNS_MAX * sizeof(const struct trend_run *));
	group->run_count = TREND_RUNS_MAX;
}

struct trend_group *
trend_groups_create(const struct trend_runs *runs, const char *const *keys,
    size_t key_count, size_t *ret_count)
{
	struct trend_group *groups = NULL;
	size_t count = 0;
	char name[GROUP_NAME_MAX];
	for (size_t i = 0; i < runs->count; i++) {
		const struct trend_run *run = &runs->items[i];
		struct trend_group *group = find_group(&groups, &count,
		    group_name(run, keys, key_count, name), runs->count);
		group->runs[group->run_count++] = run;
	}
	for (size_t i = 0; i < count; i++) {
		limit_runs(&groups[i]);
		collect_figures(&groups[i]);
	}
	*ret_count = count;
	return groups;
}

void
trend_groups_destroy(struct trend_group *groups, size_t count)
{
	for (size_t g = 0; g < count; g++) {
		for (size_t i = 0; i < groups[g].figure_count; i++) {
			free(groups[g].figures[i].points);
			free(groups[g].figures[i].changes);
		}
		free(groups[g].figures);
		free(groups[g].runs);
		free(groups[g].name);
	}
	free(groups);
}

bool
trend_is_worse(const struct trend_group *group)
{
	for (size_t i = 0; i < group->figure_count; i++)
		if (group->figures[i].latest == TREND_WORSE)
			return true;
	return false;
}
