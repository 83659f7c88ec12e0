#include "client/commands/rate_search.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "lib/log.h"
#include "lib/units.h"
#include "lib/xmalloc.h"
#include "client/live/live.h"
#include "client/plan/threshold.h"
#include "client/report/outputs.h"
#include "client/report/text_layout.h"
#include "client/result/verdict.h"
#include "client/run/run.h"

#define LAST_RATE 1e8
#define PRECISION 1.05
#define STEPS_MAX 60
/* A rate is decided when two runs agree, of at most this many. */
#define RUNS_MAX 3
#define EXIT_LOST 1
#define EXIT_WRONG 2

struct search {
	struct plan plan; /* of the next step */
	struct threshold threshold;
	FILE *out;         /* NULL: quiet */
	struct live *live; /* NULL: none */
	double least;      /* the lowest rate that gives a step enough samples */
	double good;       /* the highest rate that passed; 0: none yet */
	double bad;        /* the lowest rate that did not; 0: none yet */
	bool interrupted;
	bool cannot_succeed;      /* wrong bytes or no connection, at whatever rate */
	struct result best, last; /* last: of the steps that are not the best */
	bool has_best, has_last;
	const struct result *shown; /* the reported one; NULL: none */
	struct result_search_step steps[STEPS_MAX];
	size_t step_count;
};

/* Outcome of one step at its rate. */
enum outcome { PASSED, FAILED, UNKNOWN };

/* A failure that this client may have caused decides nothing, nor does a success. */
static enum outcome
outcome_of(
    const struct search *search, const struct result *result, const char **ret_why)
{
	struct threshold_outcome outcome =
	    verdict_of_threshold(&search->threshold, result);
	bool is_trusted = result->trust.verdict != RESULT_INVALID ||
	    (!outcome.passed && verdict_is_certain_failure(&search->threshold, result));
	if (result->messages.wrong > 0 || result->bytes_unexpected > 0) {
		*ret_why = "wrong bytes";
		return FAILED;
	}
	if (!is_trusted) {
		*ret_why = "unknown: the measurement is invalid";
		return UNKNOWN;
	}
	if (result_lost(&result->messages) > 0 ||
	    result_failed(result->connections.failed) > 0) {
		*ret_why = "losses";
		return FAILED;
	}
	if (!outcome.known) {
		*ret_why = "too few samples";
		/* Latencies far above the limit are known to be, however alike. */
		return outcome.passed ? UNKNOWN : FAILED;
	}
	*ret_why = outcome.passed ? "passed" : "failed";
	return outcome.passed ? PASSED : FAILED;
}

static void __attribute__((format(printf, 2, 3)))
print(const struct search *search, const char *format, ...)
{
	struct text_layout_text text;
	va_list arguments;
	if (search->out == NULL)
		return;
	text_layout_begin(&text);
	va_start(arguments, format);
	fputs("search: ", text.out);
	vfprintf(text.out, format, arguments);
	va_end(arguments);
	text_layout_end(&text, search->out);
	fflush(search->out);
}

static void
show(struct search *search, const struct result *result, const char *why)
{
	struct threshold_outcome outcome =
	    verdict_of_threshold(&search->threshold, result);
	char value[THRESHOLD_TEXT_MAX], asked[UNITS_TEXT_MAX], got[UNITS_TEXT_MAX];
	print(search, "%s/s planned, %s/s achieved, %s: %s (%s; trust: %s)\n",
	    units_show_count(result_whole(search->plan.rate_all), asked),
	    units_show_count(result_whole(result->messages_per_s), got),
	    search->threshold.text,
	    threshold_format(&search->threshold, outcome.value, value), why,
	    result_verdict_names[result->trust.verdict]);
}

static void
drop_best(struct search *search)
{
	if (search->has_best)
		result_finish(&search->best);
	search->has_best = false;
}

static void
keep_best(struct search *search, const struct result *result)
{
	drop_best(search);
	search->best = *result;
	search->has_best = true;
}

static void
drop_last(struct search *search)
{
	if (search->has_last)
		result_finish(&search->last);
	search->has_last = false;
}

static void
keep_last(struct search *search, const struct result *result)
{
	drop_last(search);
	search->last = *result;
	search->has_last = true;
}

/* Percentile of the response; UINT64_MAX: too few samples. */
static uint64_t
percentile_of(const struct result *result, double percentile)
{
	const struct histogram *response = result->latency[LATENCY_RESPONSE];
	return percentile_interval_is_known(percentile, histogram_count(response))
	    ? histogram_percentile(response, percentile)
	    : UINT64_MAX;
}

static void
record(struct search *search, const struct result *result, enum outcome outcome)
{
	static const char *const names[] = { "passed", "failed", "unknown" };
	const struct histogram *response = result->latency[LATENCY_RESPONSE];
	double value = verdict_of_threshold(&search->threshold, result).value;
	search->steps[search->step_count++] = (struct result_search_step){
		.rate = search->plan.rate_all,
		.achieved = result->messages_per_s,
		.value = isfinite(value) ? value : NAN,
		.p50_ns = percentile_of(result, 50),
		.p99_ns = percentile_of(result, 99),
		.max_ns = histogram_count(response) > 0 ? histogram_max(response)
							: UINT64_MAX,
		.outcome = xstrdup(names[outcome]),
		.verdict = xstrdup(result_verdict_names[result->trust.verdict]),
	};
}

/* One run. 0, or an exit status that ends the search. */
static int
step(struct search *search, double rate)
{
	struct result result;
	bool hlog_failed;
	const char *why;
	search->plan.rate_all = rate;
	search->plan.rate =
	    rate * search->plan.rank_connections / search->plan.connections;
	live_set_steps(search->live, search->steps, search->step_count);
	int status =
	    run_plan(&search->plan, live_observer(search->live), &result, &hlog_failed);
	if (status != 0)
		return status;
	enum outcome outcome = outcome_of(search, &result, &why);
	show(search, &result, why);
	search->interrupted = result.interrupted;
	search->cannot_succeed = !search->interrupted &&
	    (verdict_exit_status(&result) == EXIT_WRONG ||
		result.connections.established == 0);
	if (!search->interrupted)
		record(search, &result, outcome);
	if (search->cannot_succeed ||
	    (outcome == PASSED && !search->interrupted && rate >= search->good))
		keep_best(search, &result);
	else
		keep_last(search, &result);
	return 0;
}

static unsigned
count_steps(const struct search *search, double rate, const char *outcome)
{
	unsigned count = 0;
	for (size_t i = 0; i < search->step_count; i++)
		count += search->steps[i].rate == rate &&
		    strcmp(search->steps[i].outcome, outcome) == 0;
	return count;
}

static bool
is_over(const struct search *search)
{
	return search->interrupted || search->cannot_succeed ||
	    search->step_count == STEPS_MAX;
}

/* Runs steps until `agreeing` of at most RUNS_MAX say the same. 0, or an exit status
 * that ends the search. */
static int
decide(struct search *search, double rate, unsigned agreeing, enum outcome *ret)
{
	for (;;) {
		unsigned passed = count_steps(search, rate, "passed");
		unsigned failed = count_steps(search, rate, "failed");
		unsigned unknown = count_steps(search, rate, "unknown");
		*ret = passed >= agreeing ? PASSED : FAILED;
		if (passed >= agreeing || failed >= agreeing || is_over(search))
			return 0;
		*ret = passed > failed ? PASSED : failed > passed ? FAILED : UNKNOWN;
		if (passed + failed + unknown >= RUNS_MAX)
			return 0;
		int status = step(search, rate);
		if (status != 0)
			return status;
	}
}

/* The rate's steps decided it. */
static void
move_bounds(struct search *search, double rate, enum outcome outcome)
{
	if (outcome == PASSED)
		search->good = rate;
	else
		search->bad = rate;
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
	return is_over(search) || search->good >= LAST_RATE ||
	    (search->bad > 0 && search->bad <= search->least * PRECISION) ||
	    (search->good > 0 && search->bad > 0 &&
		search->bad / search->good < PRECISION);
}

/* The nearest rate beyond `from` whose steps passed (upward: did not pass) more often
 * than not; 0: none. */
static double
next_bound(const struct search *search, double from, bool upward)
{
	double found = 0;
	for (size_t i = 0; i < search->step_count; i++) {
		double rate = search->steps[i].rate;
		bool passed = count_steps(search, rate, "passed") >
		    count_steps(search, rate, "failed");
		bool is_beyond = upward ? rate > from : rate < from;
		bool is_nearer = found == 0 || (upward ? rate < found : rate > found);
		if (is_beyond && is_nearer && passed != upward)
			found = rate;
	}
	return found;
}

/* Repeats the runs at both bounds. A bound that the repetition overturns moves, and the
 * search goes on. Sets *ret_done when both hold. */
static int
confirm(struct search *search, bool *ret_done)
{
	enum outcome outcome;
	*ret_done = true;
	if (search->good > 0) {
		int status = decide(search, search->good, 2, &outcome);
		if (status == 0 && !search->has_best && !is_over(search))
			status = step(search, search->good);
		if (status != 0)
			return status;
		if (outcome != PASSED && !is_over(search)) {
			search->bad = search->good;
			search->good = next_bound(search, search->bad, false);
			drop_best(search);
			*ret_done = false;
			return 0;
		}
	}
	if (search->bad > 0 && !is_over(search)) {
		int status = decide(search, search->bad, 2, &outcome);
		if (status != 0)
			return status;
		if (outcome == PASSED && !is_over(search)) {
			search->good = search->bad;
			search->bad = next_bound(search, search->good, true);
			*ret_done = false;
		}
	}
	return 0;
}

/* Single steps lead to the bounds, which are then confirmed. */
static int
look(struct search *search)
{
	double rate = fmax(search->plan.rate_all, search->least);
	bool done = false;
	while (!done) {
		while (!is_found(search)) {
			enum outcome outcome;
			int status = decide(search, rate, 1, &outcome);
			if (status != 0)
				return status;
			if (is_over(search) && search->step_count < STEPS_MAX)
				break;
			move_bounds(search, rate, outcome);
			rate = next_rate(search);
		}
		if (is_over(search))
			return 0;
		int status = confirm(search, &done);
		if (status != 0)
			return status;
		if (!done)
			rate = next_rate(search);
	}
	return 0;
}

/* Between which rates the limit lies. Where runs of one rate, or a higher and a lower
 * one, contradict each other, it is no better known than that (true). *ret_high 0: no
 * rate failed. */
static bool
find_range(const struct search *search, double *ret_low, double *ret_high)
{
	bool contradict = false;
	*ret_low = search->good;
	*ret_high = search->bad;
	while (*ret_high > 0 && count_steps(search, *ret_high, "failed") == 0)
		*ret_high = next_bound(search, *ret_high, true);
	for (size_t i = 0; i < search->step_count; i++) {
		const struct result_search_step *s = &search->steps[i];
		bool failed = strcmp(s->outcome, "failed") == 0;
		bool passed = strcmp(s->outcome, "passed") == 0 && *ret_high > 0;
		if (failed && s->rate <= search->good) {
			*ret_low = fmin(*ret_low, s->rate);
			contradict = true;
		}
		if (passed && s->rate >= *ret_high) {
			*ret_high = s->rate;
			contradict = true;
		}
	}
	return contradict;
}

static bool
was_untrusted(const struct search *search, double rate)
{
	for (size_t i = 0; i < search->step_count; i++)
		if (search->steps[i].rate == rate &&
		    strcmp(search->steps[i].verdict,
			result_verdict_names[RESULT_INVALID]) == 0)
			return true;
	return false;
}

static void
print_found(const struct search *search)
{
	char rate[UNITS_TEXT_MAX], low[UNITS_TEXT_MAX], high[UNITS_TEXT_MAX];
	double from, to;
	bool contradict = find_range(search, &from, &to);
	print(search, "%s: passed %s %s/s in %u of %u runs\n", search->threshold.text,
	    search->interrupted ? "(interrupted) at" : "up to",
	    units_show_count(result_whole(search->good), rate),
	    count_steps(search, search->good, "passed"),
	    count_steps(search, search->good, "passed") +
		count_steps(search, search->good, "failed"));
	if (to > 0)
		print(search, "the limit lies between %s/s and %s/s%s\n",
		    units_show_count(result_whole(from), low),
		    units_show_count(result_whole(to), high),
		    contradict ? ": runs in this range contradict each other" : "");
	if (search->bad > 0 && count_steps(search, search->bad, "failed") == 0)
		print(search, "unknown at %s/s: %s\n",
		    units_show_count(result_whole(search->bad), rate),
		    was_untrusted(search, search->bad)
			? "this client could not measure; fix: more load processes (-w) or CPUs"
			: "the steps are too short for the figure; fix: a longer --duration");
}

static void
keep_steps(struct search *search, struct result *into)
{
	into->search_steps = xcalloc(search->step_count, sizeof(search->steps[0]));
	memcpy(into->search_steps, search->steps,
	    search->step_count * sizeof(search->steps[0]));
	into->search_step_count = search->step_count;
	search->step_count = 0;
}

static void
free_steps(struct search *search)
{
	for (size_t i = 0; i < search->step_count; i++) {
		free(search->steps[i].outcome);
		free(search->steps[i].verdict);
	}
	search->step_count = 0;
}

/* No rate passed. */
static void
print_none(const struct search *search)
{
	char rate[UNITS_TEXT_MAX];
	bool any_failed = false;
	for (size_t i = 0; i < search->step_count; i++)
		any_failed =
		    any_failed || strcmp(search->steps[i].outcome, "failed") == 0;
	units_show_count(result_whole(search->least), rate);
	if (search->interrupted)
		print(search, "interrupted before a rate was found\n");
	else if (any_failed)
		print(search,
		    "%s: failed at every rate from %s/s up; use a longer --duration to test lower rates\n",
		    search->threshold.text, rate);
	else
		print(search,
		    "%s: unknown at every rate from %s/s up: this client could not measure\n",
		    search->threshold.text, rate);
}

/* The step is judged by the threshold of the search, like a run by its own. */
static void
judge_last(struct search *search)
{
	struct result *last = &search->last;
	size_t n = last->threshold_count;
	struct threshold_outcome outcome =
	    verdict_of_threshold(&search->threshold, last);
	if (outcome.passed)
		return;
	last->thresholds =
	    xreallocarray(last->thresholds, n + 1, sizeof(last->thresholds[0]));
	last->thresholds[n] = outcome;
	last->threshold_count = n + 1;
}

/* The files show the last step and all before it. */
static int
finish_without_best(struct search *search)
{
	struct outputs outputs = outputs_of(&search->plan);
	print_none(search);
	if (!search->has_last || search->step_count == 0) {
		if (outputs.quiet)
			log_errorx("FAILED: interrupted in the first step");
		return EXIT_LOST;
	}
	judge_last(search);
	keep_steps(search, &search->last);
	search->shown = &search->last;
	int status = outputs_judge(&outputs, &search->last);
	outputs.quiet = true;
	return outputs_write(&outputs, &search->last) != 0 ? EX_OSERR : status;
}

static int
finish(struct search *search)
{
	if (!search->has_best || (search->good == 0 && !search->cannot_succeed))
		return finish_without_best(search);
	if (search->cannot_succeed)
		print(search,
		    "stopped: another rate cannot fix this; report of the last step:\n");
	else
		print_found(search);
	keep_steps(search, &search->best);
	search->shown = &search->best;
	return outputs_report(&search->plan, &search->best);
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
		log_errorx("--search %s", error);
		return EX_USAGE;
	}
	int status = live_open(plan, &search.live);
	if (status != 0)
		return status;
	search.least = least_rate(&search);
	status = look(&search);
	if (status == 0)
		status = finish(&search);
	if (live_close(search.live, search.shown) != 0 && status == 0)
		status = EX_OSERR;
	drop_best(&search);
	drop_last(&search);
	free_steps(&search);
	return status;
}
