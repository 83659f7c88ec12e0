#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/resources.h"
#include "lib/units.h"
#include "lib/xmalloc.h"
#include "client/commands/commands.h"
#include "client/report/outputs.h"
#include "client/survey/survey.h"
#include "client/survey/survey_html.h"
#include "client/survey/survey_ledger.h"
#include "client/survey/survey_options.h"
#include "client/survey/survey_text.h"
#include "client/survey_result/survey_json.h"

/* Descriptors of the loop, outputs, streams, and sockets that a probe compares with. */
#define DESCRIPTORS_RESERVED 32

#define EXIT_NOT_SURVEYED 1
#define EXIT_WRONG 2
#define EXIT_THRESHOLD 99

static void
start_result(const struct survey_plan *plan, struct survey_result *result)
{
	*result = (struct survey_result){ .started_ns = clock_realtime_ns() };
	char address[ADDRESS_TEXT_MAX];
	snprintf(result->target, sizeof(result->target), "%s", plan->target_text);
	snprintf(result->address, sizeof(result->address), "%s",
	    address_format(&plan->target, address));
	if (plan->has_second)
		snprintf(
		    result->second, sizeof(result->second), "%s", plan->second_text);
	result->planned_s = (double)plan->duration_ns / (double)NS_PER_S;
	result->connections_announced =
	    survey_connections(plan) + survey_rate_connections(plan);
}

/* Prints the limits of the survey before it starts. */
static void
announce(const struct survey_plan *plan, const struct survey_result *result, FILE *file)
{
	char duration[UNITS_TEXT_MAX];
	unsigned long long all = survey_connections(plan);
	fprintf(file,
	    "survey of %s: up to %s, at most %llu connection%s, %llu at a time",
	    result->target, units_format_duration(plan->duration_ns, duration), all,
	    all == 1 ? "" : "s", all < plan->connections ? all : plan->connections);
	if (survey_rate_connections(plan) > 0)
		fprintf(file, "\n    (%llu more where their rate is limited)",
		    (unsigned long long)survey_rate_connections(plan));
	fputc('\n', file);
	fflush(file);
}

/* One line, refreshed in place on a terminal. */
static void
show_progress(const struct survey *survey, const char *what)
{
	const struct survey_plan *plan = survey->plan;
	bool terminal = isatty(STDERR_FILENO) == 1;
	if (plan->progress == PLAN_PROGRESS_NEVER ||
	    (plan->progress == PLAN_PROGRESS_AUTO && (!terminal || plan->is_quiet)))
		return;
	double passed_s =
	    (double)(clock_now_ns() - survey->started_ns) / (double)NS_PER_S;
	fprintf(
	    stderr, terminal ? "\r%3.0f s: %s\033[K" : "%3.0f s: %s\n", passed_s, what);
	fflush(stderr);
}

static void
clear_progress(const struct survey_plan *plan)
{
	if (isatty(STDERR_FILENO) == 1 && plan->progress != PLAN_PROGRESS_NEVER)
		fputs("\r\033[K", stderr);
}

/* True if all thresholds passed. */
static bool
judge(const struct survey_threshold *thresholds, uint32_t count,
    struct survey_result *result)
{
	bool passed = true;
	result->thresholds = xcalloc(count + 1, sizeof(result->thresholds[0]));
	result->threshold_count = count;
	for (uint32_t i = 0; i < count; i++) {
		result->thresholds[i] = survey_threshold_judge(&thresholds[i], result);
		passed = passed && result->thresholds[i].passed;
	}
	return passed;
}

static int
exit_status_of(const struct survey_result *result, int run_status, bool passed)
{
	if (strcmp(survey_answer(result, SURVEY_payload), "changed") == 0)
		return EXIT_WRONG;
	if (run_status == EXIT_NOT_SURVEYED)
		return EXIT_NOT_SURVEYED;
	return passed ? 0 : EXIT_THRESHOLD;
}

/* 0, or -1 with errno. */
static int
write_file(
    const char *path, const struct survey_result *result, int exit_status, bool is_page)
{
	FILE *file = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
	if (file == NULL)
		return -1;
	int status = is_page ? survey_html(result, file)
			     : survey_json_write(result, exit_status, file);
	int error = errno;
	if ((file == stdout ? fflush(file) : fclose(file)) != 0 && status == 0) {
		status = -1;
		error = errno;
	}
	errno = error;
	return status;
}

static int
write_outputs(const struct survey_plan *plan, const struct survey_result *result,
    FILE *text, int exit_status)
{
	const char *const paths[] = { plan->json, plan->html };
	int status = exit_status;
	for (int i = 0; i < 2; i++) {
		if (paths[i] == NULL ||
		    write_file(paths[i], result, exit_status, i == 1) == 0)
			continue;
		log_error("cannot write %s", paths[i]);
		status = EX_OSERR;
	}
	if (!plan->is_quiet)
		survey_text(result, plan->is_verbose, text);
	else if (exit_status != 0)
		log_errorx("FAILED: %s",
		    exit_status == EXIT_WRONG           ? "bytes were changed"
			: exit_status == EXIT_THRESHOLD ? "a threshold was not met"
							: result->failure);
	return status;
}

/* Without them a limit of this process would look like one of the path. */
static int
check_descriptors(const struct survey_plan *plan)
{
	uint64_t needed = (uint64_t)plan->connections + DESCRIPTORS_RESERVED;
	if (resources_descriptor_limit() < needed)
		(void)resources_raise_descriptor_limit();
	uint64_t limit = resources_descriptor_limit();
	if (needed <= limit)
		return 0;
	log_errorx("--connections=%u needs %" PRIu64
		   " descriptors; the limit is %" PRIu64 "; fix: ulimit -Hn %" PRIu64
		   ", or fewer --connections",
	    plan->connections, needed, limit, needed);
	return EX_OSERR;
}

static bool
is_stdout(const char *path)
{
	return path != NULL && strcmp(path, "-") == 0;
}

static int
survey(const struct survey_plan *plan)
{
	struct survey_threshold *thresholds = NULL;
	struct survey_result result;
	const struct outputs outputs = { .json = plan->json, .html = plan->html };
	bool text_is_taken = is_stdout(plan->json) || is_stdout(plan->html);
	FILE *text = text_is_taken ? stderr : stdout;
	int status = outputs_check(&outputs);
	if (status == 0)
		status = check_descriptors(plan);
	if (status == 0)
		status = survey_options_thresholds(plan, &thresholds);
	if (status == 0)
		status = survey_ledger_check(plan);
	if (status != 0) {
		free(thresholds);
		return status;
	}
	start_result(plan, &result);
	if (!plan->is_quiet)
		announce(plan, &result, text);
	status = survey_run(plan, &result, show_progress);
	clear_progress(plan);
	if (status > EXIT_NOT_SURVEYED) {
		free(thresholds);
		return status;
	}
	bool passed = judge(thresholds, plan->thresholds.count, &result);
	status = exit_status_of(&result, status, passed);
	status = write_outputs(plan, &result, text, status);
	free(result.thresholds);
	free(thresholds);
	return status;
}

int
cmd_survey(int argc, char **argv)
{
	struct survey_plan plan;
	int status = survey_options_parse(argc, argv, &plan);
	if (status == 0 && plan.prints_schema)
		status = survey_json_write_schema(stdout) < 0 ? EX_OSERR : 0;
	else if (status == 0 && plan.lists)
		survey_list();
	else if (status == 0)
		status = survey(&plan);
	survey_options_finish(&plan);
	return status;
}
