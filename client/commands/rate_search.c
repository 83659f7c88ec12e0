#include "client/commands/rate_search.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>

#include "lib/log.h"
#include "lib/units.h"
#include "client/plan/threshold.h"
#include "client/report/outputs.h"
#include "client/result/verdict.h"
#include "client/run/run.h"

#define LAST_RATE 1e8
#define PRECISION 1.05
#define STEPS_MAX 40
#define EXIT_LOST 1
#define EXIT_WRONG 2
#define EXIT_THRESHOLD 99

struct search {
	struct plan plan; /* of the next step */
	struct threshold threshold;
	FILE *out;    /* NULL: quiet */
	double least; /* the lowest rate that gives a step enough samples */
	double good;  /* the highest rate that passed; 0: none yet */
	double bad;   /* the lowest rate that failed; 0: none yet */
	bool interrupted;
	bool cannot_succeed; /* wrong bytes or no connection, at whatever rate */
	struct result best;
	bool has_best;
};

/* Why a step does not count as passed; NULL: it passed. */
static const char *
failure(const struct search *search, const struct result *result)
{
	struct threshold_outcome outcome =
	    verdict_of_threshold(&search->threshold, result);
	if (result->messages.wrong > 0 || result->bytes_unexpected > 0)
		return "wrong bytes";
	if (result_lost(&result->messages) > 0 ||
	    result_failed(result->connections.failed) > 0)
		return "losses";
	if (!outcome.known)
		return "too few samples";
	if (!outcome.passed)
		return "failed";
	if (result->trust.verdict == RESULT_INVALID)
		return "passed, but the measurement is invalid";
	return NULL;
}

static void __attribute__((format(printf, 2, 3)))
print(const struct search *search, const char *format, ...)
{
	va_list arguments;
	if (search->out == NULL)
		return;
	va_start(arguments, format);
	fputs("search: ", search->out);
	vfprintf(search->out, format, arguments);
	fflush(search->out);
	va_end(arguments);
}

static void
show(struct search *search, const struct result *result, const char *why)
{
	struct threshold_outcome outcome =
	    verdict_of_threshold(&search->threshold, result);
	char value[THRESHOLD_TEXT_MAX], asked[UNITS_TEXT_MAX], got[UNITS_TEXT_MAX];
	print(search, "%11s/s planned, %11s/s achieved, %s: %s (%s; trust: %s)\n",
	    units_show_count(result_whole(search->plan.rate_all), asked),
	    units_show_count(result_whole(result->messages_per_s), got),
	    search->threshold.text,
	    threshold_format(&search->threshold, outcome.value, value),
	    why == NULL ? "passed" : why, result_verdict_names[result->trust.verdict]);
}

static void
keep_best(struct search *search, const struct result *result)
{
	if (search->has_best)
		result_finish(&search->best);
	search->best = *result;
	search->has_best = true;
}

/* One run. 0, or an exit status that ends the search. */
static int
step(struct search *search, double rate)
{
	struct result result;
	bool hlog_failed;
	search->plan.rate_all = rate;
	search->plan.rate =
	    rate * search->plan.rank_connections / search->plan.connections;
	int status = run_plan(&search->plan, &result, &hlog_failed);
	if (status != 0)
		return status;
	const char *why = failure(search, &result);
	show(search, &result, why);
	search->interrupted = result.interrupted;
	search->cannot_succeed = !search->interrupted &&
	    (verdict_exit_status(&result) == EXIT_WRONG ||
		result.connections.established == 0);
	if (search->cannot_succeed) {
		keep_best(search, &result);
	} else if (why == NULL && !search->interrupted) {
		keep_best(search, &result);
		search->good = rate;
	} else {
		result_finish(&result);
		search->bad = rate;
	}
	return 0;
}

/* Below this rate a step has too few samples for the percentile. Poisson arrivals may
 * fall short of the mean. */
static double
least_rate(const struct search *search)
{
	const struct plan *plan = &search->plan;
	double needed = (double)threshold_count_min(&search->threshold), rate;
	if (plan->arrivals == PLAN_POISSON)
		needed += 4 * sqrt(needed);
	rate = ceil(needed / ((double)plan->duration_ns / 1e9)) + 1;
	return rate * plan->connections / plan->rank_connections;
}

static double
next_rate(const struct search *search)
{
	if (search->bad == 0)
		return search->good * 2;
	if (search->good == 0)
		return fmax(search->bad / 2, search->least);
	return (search->good + search->bad) / 2;
}

static bool
is_found(const struct search *search)
{
	return search->interrupted || search->cannot_succeed ||
	    search->good >= LAST_RATE ||
	    (search->bad > 0 && search->bad <= search->least * PRECISION) ||
	    (search->good > 0 && search->bad > 0 &&
		search->bad / search->good < PRECISION);
}

static int
finish(struct search *search)
{
	char rate[UNITS_TEXT_MAX];
	if (!search->has_best && search->interrupted) {
		print(search, "interrupted before a rate was found\n");
		return EXIT_LOST;
	}
	if (!search->has_best) {
		print(search,
		    "%s: failed at every rate from %s/s up; use a longer --duration to test lower rates\n",
		    search->threshold.text,
		    units_show_count(result_whole(search->least), rate));
		return EXIT_THRESHOLD;
	}
	if (search->cannot_succeed)
		print(search,
		    "stopped: another rate cannot fix this; report of the last step:\n");
	else
		print(search, "%s: passed %s %s/s\n", search->threshold.text,
		    search->interrupted ? "(interrupted) at" : "up to",
		    units_show_count(result_whole(search->good), rate));
	int status = outputs_report(&search->plan, &search->best);
	result_finish(&search->best);
	return status;
}

int
rate_search_run(const struct plan *plan)
{
	static struct search search; /* a plan is large */
	char error[PLAN_ERROR_MAX];
	search = (struct search){ .plan = *plan,
		.out = plan->stdout_taken ? stderr : stdout };
	if (plan->quiet)
		search.out = NULL;
	if (threshold_parse(plan->search, &search.threshold, error, sizeof(error)) <
	    0) {
		log_errorx("--search: %s", error);
		return EX_USAGE;
	}
	search.least = least_rate(&search);
	double rate = fmax(plan->rate_all, search.least);
	for (int i = 0; i < STEPS_MAX && !is_found(&search); i++) {
		int status = step(&search, rate);
		if (status != 0) {
			if (search.has_best)
				result_finish(&search.best);
			return status;
		}
		rate = next_rate(&search);
	}
	return finish(&search);
}
