#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "lib/log.h"
#include "lib/xmalloc.h"
#include "client/result/result_fields.h"
#include "client/trend/trend.h"

/* The figures of one result: those that a comparison has, of the run with itself. */
static void
take_figures(struct trend_run *run, struct result *result)
{
	const struct comparison_side side = { result, 1 };
	const struct comparison_side sides[2] = { side, side };
	run->rows = xcalloc(COMPARISON_ROWS_MAX, sizeof(*run->rows));
	run->row_count = comparison_of(sides, run->rows);
	run->rows = xreallocarray(run->rows, run->row_count, sizeof(*run->rows));
}

static void
add_run(struct trend_runs *runs, const char *path, struct result *result)
{
	if (result->is_running) {
		log_warnx(
		    "%s: left out: an interim result, its run was going on", path);
		return;
	}
	if (result->trust.verdict == RESULT_INVALID) {
		log_warnx("%s: left out: the result is invalid (%s)", path,
		    result->trust.reason_count > 0 ? result->trust.reasons[0] : "?");
		runs->invalid_count++;
		return;
	}
	runs->items = xreallocarray(runs->items, runs->count + 1, sizeof(*runs->items));
	struct trend_run *run = &runs->items[runs->count++];
	*run = (struct trend_run){
		.path = xstrdup(path),
		.started_at_ns = result->started_at_ns,
		.hostname = xstrdup(result->host.hostname),
		.is_suspect = result->trust.verdict == RESULT_SUSPECT,
		.plan =
		    xmalloc_check(json_record_write(result_plan_fields, &result->plan)),
	};
	labels_copy(&run->labels, &result->labels);
	take_figures(run, result);
}

static int
read_file(struct trend_runs *runs, const char *path)
{
	struct result result;
	int status = result_read_file(path, &result);
	if (status != 0)
		return status;
	add_run(runs, path, &result);
	result_finish(&result);
	return 0;
}

/* A document in a folder need not be a result. */
static int
read_file_of_folder(struct trend_runs *runs, const char *path)
{
	char error[RESULT_ERROR_MAX];
	struct result result;
	struct stat stats;
	/* Opening a FIFO would wait for its writer. */
	if (stat(path, &stats) == 0 && !S_ISREG(stats.st_mode)) {
		log_warnx("%s: left out: not a file", path);
		return 0;
	}
	FILE *file = fopen(path, "re");
	if (file == NULL) {
		log_error("%s", path);
		return EX_NOINPUT;
	}
	int status = result_read_json(file, &result, error);
	fclose(file);
	if (status < 0) {
		log_warnx("%s: left out: %s", path, error);
		return 0;
	}
	add_run(runs, path, &result);
	result_finish(&result);
	return 0;
}

static int
is_json(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);
	return entry->d_name[0] != '.' && length > 5 &&
	    strcmp(entry->d_name + length - 5, ".json") == 0;
}

static int
read_folder(struct trend_runs *runs, const char *path)
{
	struct dirent **entries;
	int count = scandir(path, &entries, is_json, alphasort), status = 0;
	if (count < 0) {
		log_error("%s", path);
		return errno == ENOMEM ? EX_OSERR : EX_NOINPUT;
	}
	for (int i = 0; i < count; i++) {
		char *file = xasprintf("%s/%s", path, entries[i]->d_name);
		if (status == 0)
			status = read_file_of_folder(runs, file);
		free(file);
		free(entries[i]);
	}
	free(entries);
	return status;
}

static int
by_start(const void *a, const void *b)
{
	const struct trend_run *x = a, *y = b;
	if (x->started_at_ns != y->started_at_ns)
		return x->started_at_ns < y->started_at_ns ? -1 : 1;
	return strcmp(x->path, y->path);
}

int
trend_read(char *const *paths, struct trend_runs *ret)
{
	*ret = (struct trend_runs){ NULL, 0, 0 };
	for (; *paths != NULL; paths++) {
		struct stat status;
		bool is_folder = stat(*paths, &status) == 0 && S_ISDIR(status.st_mode);
		int failed =
		    is_folder ? read_folder(ret, *paths) : read_file(ret, *paths);
		if (failed != 0)
			return failed;
	}
	if (ret->count > 1)
		qsort(ret->items, ret->count, sizeof(*ret->items), by_start);
	return 0;
}

void
trend_runs_finish(struct trend_runs *runs)
{
	for (size_t i = 0; i < runs->count; i++) {
		free(runs->items[i].path);
		free(runs->items[i].hostname);
		labels_finish(&runs->items[i].labels);
		json_decref(runs->items[i].plan);
		free(runs->items[i].rows);
	}
	free(runs->items);
}
