/*
 * trend.h - the figures of many runs over time: their level, where it changed, and
 * whether the latest run is worse than those before it.
 *
 *   files --trend_read--> struct trend_runs --trend_group_create--> figures, judged
 *
 * Runs are grouped by the values of labels (yodel --label). In a group each figure of
 * comparison.h is a series over the runs in the order of their start. Durations and
 * rates are examined by their logarithms; counts of events by their square roots, whose
 * variance does not depend on the count.
 */
#ifndef CLIENT_TREND_TREND_H
#define CLIENT_TREND_TREND_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/plan/labels.h"
#include "client/result/comparison.h"

#define TREND_RUNS_MAX 1000 /* of a group: the latest */
/* Runs of one level before the latest, from which its noise is known. So many runs of a
 * worse level are called worse before it becomes the reference. */
#define TREND_LEVEL_MIN 5

struct trend_run {
	char *path;
	uint64_t started_at_ns; /* CLOCK_REALTIME */
	char *ids;              /* result_merge_ids() */
	char *hostname;
	bool is_suspect; /* its trust */
	struct labels labels;
	json_t *plan;                /* as in the result document */
	struct comparison_row *rows; /* `base` is the figure */
	size_t row_count;
};

struct trend_runs {
	struct trend_run *items; /* in the order of their start */
	size_t count;
	/* Results that are invalid or interim, without plan and figures. Files that
	 * cannot be read, but may be results, have the time of their modification and
	 * no hostname. */
	struct trend_run *left_out;
	size_t left_out_count;
};

/* Reads results: a file, or all files "*.json" of a folder. Files of a folder that are
 * not results are left out with a warning, as is a run that another result has. 0, or
 * an exit status after one line on stderr: 66 if a path cannot be opened, 65 if a file
 * is not a result. The caller calls trend_runs_finish() in any case. */
int trend_read(char *const *paths, struct trend_runs *ret)
    __attribute__((warn_unused_result));
void trend_runs_finish(struct trend_runs *runs);

enum trend_outcome {
	TREND_UNKNOWN, /* fewer than TREND_LEVEL_MIN runs of this level before it, or a
			  duration that is zero in a run */
	TREND_NOISE,
	TREND_BETTER,
	TREND_WORSE,
	TREND_MISSING, /* the latest run does not tell this figure */
};
extern const char *const trend_outcome_names[];

struct trend_point {
	size_t run; /* in the group */
	double value, low, high;
	bool has_interval;
};

struct trend_figure {
	const char *name; /* of a row */
	enum comparison_unit unit;
	struct trend_point *points; /* of the runs from which it is known */
	size_t point_count;
	size_t *changes; /* points that begin a new level, ascending */
	size_t change_count;
	enum trend_outcome latest; /* the latest run against the reference */
	/* The points of the level that the latest run is compared with, which are those
	 * from reference_first up to reference_end (behind them). */
	size_t reference_first, reference_end;
};

struct trend_group {
	char *name; /* "KEY=VALUE, KEY=VALUE"; "" without labels */
	const struct trend_run **runs;
	size_t run_count;
	size_t left_out; /* earlier than the latest TREND_RUNS_MAX */
	struct trend_figure *figures;
	size_t figure_count;
};

/* The groups of the runs by the labels of keys[key_count] (0: one group), in the order
 * of their first run. The runs outlive them. */
struct trend_group *trend_groups_create(const struct trend_runs *runs,
    const char *const *keys, size_t key_count, size_t *ret_count);
void trend_groups_destroy(struct trend_group *groups, size_t count);

/* The median of the points from `first` up to `end`, which is behind it. */
double trend_level(const struct trend_figure *figure, size_t first, size_t end);

/* A run that was left out and is the latest of its group, or may be; NULL: none. */
const struct trend_run *trend_find_unjudged(
    const struct trend_runs *runs, const char *const *keys, size_t key_count);

/* True if a run has this label, also one that was left out. */
bool trend_has_label(const struct trend_runs *runs, const char *key);

/* True if the latest run of a group is worse in a figure. */
bool trend_is_worse(const struct trend_group *group);

#endif
