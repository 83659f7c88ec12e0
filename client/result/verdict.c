#include "client/result/verdict.h"

#include <math.h>
#include <string.h>

#include "lib/stats/percentile_interval.h"
#include "client/result/trust.h"

/* NULL for a step that this result does not have. */
static const struct histogram *
latency_of(const struct threshold *threshold, const struct result *result)
{
	int which = result_threshold_latency(result, threshold);
	return which < 0 ? NULL : result->latency[which];
}

static double
of_all(const struct threshold *threshold, uint64_t part, uint64_t all)
{
	if (!threshold->share)
		return (double)part;
	return all == 0 ? 0 : (double)part / (double)all;
}

/* Messages without an answer. Response also counts those that were due and not sent,
 * because it is measured from the due time. */
static double
never_answered(const struct threshold *threshold, const struct result *result)
{
	const struct result_messages *m = &result->messages;
	if (threshold->step[0] != '\0')
		return (double)
		    result->step_lost[result_threshold_latency(result, threshold) -
			LATENCY_STEP_FIRST];
	double lost = (double)result_lost(m);
	if (threshold->histogram == LATENCY_RESPONSE && !result->interrupted &&
	    result->messages_due > m->sent)
		lost += (double)(result->messages_due - m->sent);
	return threshold->histogram == LATENCY_RESPONSE ||
		threshold->histogram == LATENCY_SERVICE
	    ? lost
	    : 0;
}

/* Unanswered messages count as infinitely late. */
static double
percentile_of_all(
    const struct threshold *threshold, const struct result *result, double percentile)
{
	const struct histogram *latency = latency_of(threshold, result);
	double count = (double)histogram_count(latency);
	double lost = never_answered(threshold, result);
	if (count > 0 && lost > 0)
		percentile *= (count + lost) / count;
	if (percentile > 100)
		return INFINITY;
	return (double)histogram_percentile(latency, percentile);
}

static double
value_of(const struct threshold *threshold, const struct result *result)
{
	const struct histogram *latency = latency_of(threshold, result);
	if (latency == NULL)
		return NAN;
	switch (threshold->figure) {
	case THRESHOLD_PERCENTILE:
		return percentile_of_all(threshold, result, threshold->percentile);
	case THRESHOLD_MEAN:
		return histogram_mean(latency);
	case THRESHOLD_MIN:
		return (double)histogram_min(latency);
	case THRESHOLD_MAX:
		return percentile_of_all(threshold, result, 100);
	case THRESHOLD_STDDEV:
		return histogram_stddev(latency);
	case THRESHOLD_LOST:
		return of_all(
		    threshold, result_lost(&result->messages), result->messages.sent);
	case THRESHOLD_WRONG:
		return of_all(threshold, result->messages.wrong, result->messages.sent);
	case THRESHOLD_FAILED:
		return of_all(threshold, result_failed(result->connections.failed),
		    result->connections.attempted);
	case THRESHOLD_ABORTED:
		return of_all(threshold, result_aborted(&result->connections),
		    result_aborted(&result->connections) +
			result->connections.close[CLOSE_END_FIN]);
	case THRESHOLD_DARK: /* a merged run may not have watched outages */
		return result->plan.hold_ns == 0
		    ? NAN
		    : of_all(threshold, result->hold.connections,
			  result->connections.first);
	case THRESHOLD_RATE:
		return result->messages_per_s;
	}
	return NAN;
}

static bool
compare(enum threshold_op op, double value, double limit)
{
	switch (op) {
	case THRESHOLD_LT:
		return value < limit;
	case THRESHOLD_LE:
		return value <= limit;
	case THRESHOLD_GT:
		return value > limit;
	case THRESHOLD_GE:
		return value >= limit;
	}
	return false;
}

/* A percentile is known if its interval is. Of values too much alike to know it, each
 * must keep the limit. */
static bool
is_percentile_known(const struct threshold *threshold, const struct result *result)
{
	int which = result_threshold_latency(result, threshold);
	const struct histogram *latency = result->latency[which];
	bool is_upper = threshold->op == THRESHOLD_LT || threshold->op == THRESHOLD_LE;
	return result_percentile(
		   result, (enum latency_kind)which, threshold->percentile)
		   .known ||
	    (is_upper &&
		percentile_interval_is_known(
		    threshold->percentile, histogram_count(latency)) &&
		compare(threshold->op, percentile_of_all(threshold, result, 100),
		    threshold->limit));
}

struct threshold_outcome
verdict_of_threshold(const struct threshold *threshold, const struct result *result)
{
	const struct histogram *latency = latency_of(threshold, result);
	struct threshold_outcome outcome = { .threshold = *threshold,
		.value = value_of(threshold, result),
		.known = true };
	outcome.passed = compare(threshold->op, outcome.value, threshold->limit);
	if (threshold_is_latency(threshold) &&
	    (latency == NULL || histogram_count(latency) == 0))
		outcome.passed = outcome.known = false;
	else if (isfinite(outcome.value) && threshold->figure == THRESHOLD_PERCENTILE &&
	    percentile_interval_count_min(threshold->percentile) > 0)
		outcome.known = is_percentile_known(threshold, result);
	return outcome;
}

/* Value of the answered messages only: this client may be the reason why others were
 * not sent. */
static double
value_of_answered(const struct threshold *threshold, const struct histogram *latency)
{
	switch (threshold->figure) {
	case THRESHOLD_PERCENTILE:
		return (double)histogram_percentile(latency, threshold->percentile);
	case THRESHOLD_MEAN:
		return histogram_mean(latency);
	case THRESHOLD_MIN:
		return (double)histogram_min(latency);
	case THRESHOLD_MAX:
		return (double)histogram_max(latency);
	default:
		return NAN;
	}
}

bool
verdict_is_certain_failure(
    const struct threshold *threshold, const struct result *result)
{
	int which = result_threshold_latency(result, threshold);
	if (result->client_delay_max_ns == 0 ||
	    (which != LATENCY_RESPONSE && which != LATENCY_SERVICE) ||
	    histogram_count(result->latency[which]) == 0)
		return false;
	double value = value_of_answered(threshold, result->latency[which]) -
	    (double)result->client_delay_max_ns;
	return isfinite(value) && !compare(threshold->op, value, threshold->limit);
}

void
verdict_evaluate(struct result *result)
{
	for (size_t i = 0; i < result->threshold_count; i++)
		result->thresholds[i] =
		    verdict_of_threshold(&result->thresholds[i].threshold, result);
	trust_evaluate(result);
}

const struct threshold *
verdict_budget(const struct result *result, enum threshold_figure figure)
{
	for (size_t i = 0; i < result->threshold_count; i++) {
		const struct threshold_outcome *outcome = &result->thresholds[i];
		enum threshold_op op = outcome->threshold.op;
		if (outcome->threshold.figure == figure && outcome->passed &&
		    (op == THRESHOLD_LT || op == THRESHOLD_LE))
			return &outcome->threshold;
	}
	return NULL;
}

/* Messages or connections were lost, and more than a budget allows, which covers the
 * warm-up too. */
static bool
lost_something(const struct result *result)
{
	const struct threshold *budget = verdict_budget(result, THRESHOLD_LOST);
	uint64_t lost = result_lost(&result->messages) + result_lost(&result->warmup);
	uint64_t sent = result->messages.sent + result->warmup.sent;
	if (budget != NULL)
		return !compare(budget->op, of_all(budget, lost, sent), budget->limit);
	return lost + result->connections.lost > 0;
}

static bool
failed_to_connect(const struct result *result)
{
	const struct result_connections *c = &result->connections;
	return verdict_budget(result, THRESHOLD_FAILED) == NULL &&
	    (result_failed(c->failed) > 0 || c->first < c->requested);
}

/* Without the messages of sockets that a budget allows not to connect. */
static bool
is_cut_short(const struct result *result)
{
	const struct result_connections *c = &result->connections;
	double asked = result_asked(result);
	if (verdict_budget(result, THRESHOLD_FAILED) != NULL && c->requested > 0)
		asked *= (double)c->first / (double)c->requested;
	return (double)(result->messages.sent + result->warmup.sent) < asked;
}

/* Before the end, messages in flight and those to come are not missing. */
static bool
something_is_missing_so_far(const struct result *result)
{
	return lost_something(result) ||
	    (verdict_budget(result, THRESHOLD_FAILED) == NULL &&
		result_failed(result->connections.failed) > 0);
}

/* Also true for an interrupted run: it did not send everything that was planned. */
static bool
something_is_missing(const struct result *result)
{
	if (result->is_running)
		return something_is_missing_so_far(result);
	return lost_something(result) || failed_to_connect(result) ||
	    result->messages.in_flight + result->warmup.in_flight > 0 ||
	    result->messages.sent == 0 ||
	    result->messages_due > result->messages.sent || is_cut_short(result);
}

static size_t
count_steps(const struct result *result, const char *outcome, bool is_same_rate)
{
	size_t count = 0;
	for (size_t i = 0; i < result->search_step_count; i++)
		count += strcmp(result->search_steps[i].outcome, outcome) == 0 &&
		    (!is_same_rate ||
			result->search_steps[i].rate == result->plan.rate);
	return count;
}

/* The result is that of the best rate, which passed, or the search found none. */
static bool
found_no_rate(const struct result *result)
{
	size_t passed = count_steps(result, "passed", true);
	return result->search_step_count > 0 &&
	    (passed == 0 || passed < count_steps(result, "failed", true));
}

/* Losses at rates that are too high for the server are what a search expects. */
static int
status_of_no_rate(const struct result *result)
{
	if (result->interrupted || result->connections.established == 0)
		return 1;
	return count_steps(result, "failed", false) > 0 ? 99 : 3;
}

int
verdict_exit_status(const struct result *result)
{
	if (result->messages.wrong + result->warmup.wrong + result->mismatch_count > 0)
		return 2;
	if (found_no_rate(result))
		return status_of_no_rate(result);
	if (something_is_missing(result) ||
	    (!result->is_running && !result_adds_up(&result->messages)) ||
	    !reconcile_is_consistent(result))
		return 1;
	for (size_t i = 0; i < result->threshold_count; i++)
		if (!result->thresholds[i].passed)
			return 99;
	if (result->plan.strict && result->trust.verdict != RESULT_VALID)
		return 3;
	return 0;
}
