#include "client/trend/trend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/stats/change_points.h"
#include "lib/xmalloc.h"
#include "client/trend/trend_judge.h"

#define GROUP_NAME_MAX 1024
/* False alarms of all figures of a group together, in the latest run. */
#define FALSE_ALARM (1.0 / CHANGE_POINTS_FALSE_ALARMS)

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
		trend_judge(&group->figures[i], group->run_count,
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

/* A file that cannot be read does not tell its group. */
static bool
has_later_run(const struct trend_runs *runs, const struct trend_run *left_out,
    const char *const *keys, size_t key_count)
{
	char name[GROUP_NAME_MAX], other[GROUP_NAME_MAX];
	group_name(left_out, keys, key_count, name);
	for (size_t i = runs->count; i-- > 0;) {
		const struct trend_run *run = &runs->items[i];
		if (run->started_at_ns <= left_out->started_at_ns)
			return false;
		if (left_out->hostname == NULL ||
		    strcmp(group_name(run, keys, key_count, other), name) == 0)
			return true;
	}
	return false;
}

const struct trend_run *
trend_find_unjudged(
    const struct trend_runs *runs, const char *const *keys, size_t key_count)
{
	for (size_t i = 0; i < runs->left_out_count; i++)
		if (!has_later_run(runs, &runs->left_out[i], keys, key_count))
			return &runs->left_out[i];
	return NULL;
}

bool
trend_has_label(const struct trend_runs *runs, const char *key)
{
	for (size_t i = 0; i < runs->count; i++)
		if (labels_find(&runs->items[i].labels, key) != NULL)
			return true;
	for (size_t i = 0; i < runs->left_out_count; i++)
		if (labels_find(&runs->left_out[i].labels, key) != NULL)
			return true;
	return false;
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
