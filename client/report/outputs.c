#include "client/report/outputs.h"

#include <sys/stat.h>

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/stats/histogram_codec.h"
#include "client/plan/tls_plan.h"
#include "client/report/report_html.h"
#include "client/report/report_summary.h"
#include "client/report/report_text.h"
#include "client/result/verdict.h"

typedef int write_function(const struct result *result, FILE *file);

static int
write_hgrm(const struct result *result, FILE *file)
{
	histogram_codec_write_hgrm(
	    file, result->latency[LATENCY_RESPONSE], (double)NS_PER_MS);
	return 0;
}

/* 0, or -1 with errno. */
static int
write_to(const char *path, write_function *write, const struct result *result)
{
	FILE *file = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
	int status, error;
	if (file == NULL)
		return -1;
	status = write(result, file);
	if (ferror(file))
		status = -1;
	error = errno;
	if ((file == stdout ? fflush(file) : fclose(file)) != 0 && status == 0) {
		status = -1;
		error = errno;
	}
	errno = error;
	return status;
}

static int
write_one(const char *path, write_function *write, const struct result *result)
{
	if (path == NULL || write_to(path, write, result) == 0)
		return 0;
	log_error("cannot write %s", path);
	return EX_OSERR;
}

static bool
is_stdout(const char *path)
{
	return path != NULL && strcmp(path, "-") == 0;
}

struct outputs
outputs_of(const struct plan *plan)
{
	return (struct outputs){
		.json = plan->json,
		.hgrm = plan->hgrm,
		.html = plan->html,
		.hlog = plan->hlog,
		.json_lines = plan->json_lines,
		.quiet = plan->quiet,
	};
}

/* 0 if the file, or the directory for a new one, is writable; else an errno. */
static int
write_error_of(const char *path)
{
	struct stat stats;
	char folder[PATH_MAX];
	size_t length = strlen(path);
	if (stat(path, &stats) == 0) {
		if (S_ISDIR(stats.st_mode))
			return EISDIR;
		return access(path, W_OK) == 0 ? 0 : errno;
	}
	if (errno != ENOENT)
		return errno;
	if (length >= sizeof(folder))
		return ENAMETOOLONG;
	if (length > 0 && path[length - 1] == '/')
		return EISDIR;
	return access(dirname(strcpy(folder, path)), W_OK | X_OK) == 0 ? 0 : errno;
}

/* Devices such as /dev/null may be given more than once. */
static bool
is_device(const char *path)
{
	struct stat stats;
	return stat(path, &stats) == 0 && !S_ISREG(stats.st_mode);
}

/* A file in which one output would overwrite another; NULL: none. */
static const char *
find_repeated(const char *const *paths, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i && paths[i] != NULL; j++)
			if (paths[j] != NULL && strcmp(paths[i], paths[j]) == 0 &&
			    !is_stdout(paths[i]) && !is_device(paths[i]))
				return paths[i];
	return NULL;
}

int
outputs_check(const struct outputs *outputs)
{
	const char *const paths[] = { outputs->json, outputs->hgrm, outputs->html,
		outputs->hlog, outputs->json_lines };
	const size_t count = sizeof(paths) / sizeof(paths[0]);
	int on_stdout = 0;
	for (size_t i = 0; i < count; i++) {
		int error = 0;
		if (is_stdout(paths[i]))
			on_stdout++;
		else if (paths[i] != NULL)
			error = write_error_of(paths[i]);
		if (error == 0)
			continue;
		log_errorx("cannot write %s: %s", paths[i], strerror(error));
		return EX_OSERR;
	}
	const char *repeated = find_repeated(paths, count);
	if (repeated != NULL) {
		log_errorx("%s: expected another file for each output", repeated);
		return EX_USAGE;
	}
	if (on_stdout < 2)
		return 0;
	log_errorx("only one output can be written to stdout");
	return EX_USAGE;
}

static int
write_text(const struct result *result, FILE *file)
{
	report_text(result, file);
	if (fflush(file) == 0 && !ferror(file))
		return 0;
	log_error("cannot write the report");
	return EX_OSERR;
}

int
outputs_write(const struct outputs *outputs, const struct result *result)
{
	bool taken = is_stdout(outputs->json) || is_stdout(outputs->hgrm) ||
	    is_stdout(outputs->html) || is_stdout(outputs->hlog) ||
	    is_stdout(outputs->json_lines);
	int status = write_one(outputs->json, result_write_json, result);
	status |= write_one(outputs->hgrm, write_hgrm, result);
	status |= write_one(outputs->html, report_html, result);
	if (!outputs->quiet)
		status |= write_text(result, taken ? stderr : stdout);
	return status;
}

int
outputs_judge(const struct outputs *outputs, const struct result *result)
{
	char line[REPORT_SUMMARY_MAX];
	int status = verdict_exit_status(result);
	if (outputs->quiet && status != 0)
		log_errorx("%s", report_summary(result, line));
	return status;
}

int
outputs_report(const struct plan *plan, const struct result *result)
{
	struct outputs outputs = outputs_of(plan);
	int status = outputs_write(&outputs, result);
	status |= tls_plan_check_key_log(plan);
	return status != 0 ? EX_OSERR : outputs_judge(&outputs, result);
}
