#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "lib/clock.h"
#include "lib/json/json_load.h"
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

static struct trend_run *
append(struct trend_run **runs, size_t *count, const char *path, uint64_t started_at_ns)
{
	*runs = xreallocarray(*runs, *count + 1, sizeof(**runs));
	struct trend_run *run = &(*runs)[(*count)++];
	*run =
	    (struct trend_run){ .path = xstrdup(path), .started_at_ns = started_at_ns };
	return run;
}

static void
add_run(struct trend_runs *runs, const char *path, struct result *result)
{
	bool is_invalid = result->trust.verdict == RESULT_INVALID;
	bool is_left_out = result->is_running || is_invalid;
	struct trend_run *run = is_left_out
	    ? append(
		  &runs->left_out, &runs->left_out_count, path, result->started_at_ns)
	    : append(&runs->items, &runs->count, path, result->started_at_ns);
	run->hostname = xstrdup(result->host.hostname);
	labels_copy(&run->labels, &result->labels);
	if (result->is_running) {
		log_warnx(
		    "%s: left out: an interim result, its run was going on", path);
	} else if (is_invalid) {
		log_warnx("%s: left out: the result is invalid (%s)", path,
		    result->trust.reason_count > 0 ? result->trust.reasons[0] : "?");
	} else {
		run->ids = result_merge_ids(result);
		run->is_suspect = result->trust.verdict == RESULT_SUSPECT;
		run->plan =
		    xmalloc_check(json_record_write(result_plan_fields, &result->plan));
		take_figures(run, result);
	}
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

/* The file may be the result of the latest run. */
static void
add_unreadable(struct trend_runs *runs, const char *path, const char *reason)
{
	struct stat stats = { .st_mtim = { 0, 0 } };
	log_warnx("%s: left out: %s", path, reason);
	if (lstat(path, &stats) == 0)
		append(&runs->left_out, &runs->left_out_count, path,
		    (uint64_t)stats.st_mtim.tv_sec * NS_PER_S +
			(uint64_t)stats.st_mtim.tv_nsec);
}

/* True if a file is JSON, but no result. */
static bool
is_other_document(FILE *file)
{
	json_error_t error;
	rewind(file);
	json_t *root = json_load_stream(file, 0, &error);
	const char *schema = json_string_value(json_object_get(root, "schema"));
	bool is_other =
	    root != NULL && (schema == NULL || strcmp(schema, RESULT_SCHEMA) != 0);
	json_decref(root);
	return is_other;
}

/* A document in a folder need not be a result. */
static void
read_file_of_folder(struct trend_runs *runs, const char *path)
{
	char error[RESULT_ERROR_MAX];
	struct result result;
	struct stat stats;
	/* Opening a FIFO would wait for its writer. */
	if (stat(path, &stats) == 0 && !S_ISREG(stats.st_mode)) {
		log_warnx("%s: left out: not a file", path);
		return;
	}
	FILE *file = fopen(path, "re");
	if (file == NULL) {
		add_unreadable(runs, path, strerror(errno));
		return;
	}
	if (result_read_json(file, &result, error) == 0) {
		add_run(runs, path, &result);
		result_finish(&result);
	} else if (is_other_document(file)) {
		log_warnx("%s: left out: %s", path, error);
	} else {
		add_unreadable(runs, path, error);
	}
	fclose(file);
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
	int count = scandir(path, &entries, is_json, alphasort);
	if (count < 0) {
		log_error("%s", path);
		return errno == ENOMEM ? EX_OSERR : EX_NOINPUT;
	}
	for (int i = 0; i < count; i++) {
		char *file = xasprintf("%s/%s", path, entries[i]->d_name);
		read_file_of_folder(runs, file);
		free(file);
		free(entries[i]);
	}
	free(entries);
	return 0;
}

static int
by_start(const void *a, const void *b)
{
	const struct trend_run *x = a, *y = b;
	if (x->started_at_ns != y->started_at_ns)
		return x->started_at_ns < y->started_at_ns ? -1 : 1;
	return strcmp(x->path, y->path);
}

static void
finish_run(struct trend_run *run)
{
	free(run->path);
	free(run->ids);
	free(run->hostname);
	labels_finish(&run->labels);
	json_decref(run->plan);
	free(run->rows);
}

static bool
has_runs_of(const struct trend_run *run, const struct trend_run *other)
{
	const char *id = other->ids;
	while (*id != '\0') {
		size_t length = strcspn(id, " ");
		if (memmem(run->ids, strlen(run->ids), id, length) == NULL)
			return false;
		id += length + (id[length] == ' ');
	}
	return other->ids[0] != '\0';
}

/* True if another result has the runs of this one: a copy of its file, or a merged
 * result. Of equal ones the first counts. */
static bool
is_copy(const struct trend_runs *runs, size_t n)
{
	const struct trend_run *run = &runs->items[n];
	for (size_t i = 0; i < runs->count; i++)
		if (i != n && has_runs_of(&runs->items[i], run) &&
		    (i < n || !has_runs_of(run, &runs->items[i])))
			return true;
	return false;
}

static void
drop_copies(struct trend_runs *runs)
{
	size_t kept = 0;
	bool *are_copies = xcalloc(runs->count + 1, sizeof(*are_copies));
	for (size_t i = 0; i < runs->count; i++)
		are_copies[i] = is_copy(runs, i);
	for (size_t i = 0; i < runs->count; i++) {
		if (!are_copies[i]) {
			runs->items[kept++] = runs->items[i];
			continue;
		}
		log_warnx("%s: its run was already added and counts once",
		    runs->items[i].path);
		finish_run(&runs->items[i]);
	}
	runs->count = kept;
	free(are_copies);
}

int
trend_read(char *const *paths, struct trend_runs *ret)
{
	*ret = (struct trend_runs){ .items = NULL };
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
	drop_copies(ret);
	return 0;
}

void
trend_runs_finish(struct trend_runs *runs)
{
	for (size_t i = 0; i < runs->count; i++)
		finish_run(&runs->items[i]);
	for (size_t i = 0; i < runs->left_out_count; i++)
		finish_run(&runs->left_out[i]);
	free(runs->items);
	free(runs->left_out);
}
