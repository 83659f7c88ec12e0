#include "client/result/result.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "client/result/reconcile.h"
#include "client/result/result_fields.h"
#include "client/result/trust.h"

#define SECONDS_FOR_VARIANCE 10 /* fewer batches tell nothing */

const char *const result_verdict_names[] = { "valid", "suspect", "invalid", NULL };

int
result_init(struct result *result)
{
	memset(result, 0, sizeof(*result));
	for (int i = 0; i < LATENCY_KIND_COUNT; i++) {
		result->latency[i] = histogram_create(&counters_latency_config);
		if (result->latency[i] == NULL) {
			result_finish(result);
			return -1;
		}
	}
	return 0;
}

static void
finish_list(const struct result_list *list, const struct result *result)
{
	for (size_t i = 0;
	     list->row == RESULT_RECORD && i < *result_list_count(list, result); i++)
		json_record_finish(list->fields, result_list_at(list, result, i));
	free(*result_list_items(list, result));
}

void
result_finish(struct result *result)
{
	json_record_finish(result_fields, result);
	for (const struct result_list *list = result_lists; list->name != NULL; list++)
		finish_list(list, result);
	for (int i = 0; i < LATENCY_KIND_COUNT; i++)
		free(result->latency[i]);
	trust_clear(&result->trust);
	free(result->ledger);
	memset(result, 0, sizeof(*result));
}

int
result_evaluate(struct result *result)
{
	for (size_t i = 0; i < result->threshold_count; i++)
		result->thresholds[i] =
		    threshold_evaluate(&result->thresholds[i].threshold, result);
	return trust_evaluate(result);
}

uint64_t
result_lost(const struct result_messages *messages)
{
	uint64_t sum = 0;

	for (int i = 0; i < MESSAGE_LOSS_COUNT; i++)
		sum += messages->lost[i];
	return sum;
}

uint64_t
result_failed(const struct result_connections *connections)
{
	uint64_t sum = 0;

	for (int i = 0; i < CONNECT_FAILURE_COUNT; i++)
		sum += connections->failed[i];
	return sum;
}

bool
result_adds_up(const struct result_messages *messages)
{
	return messages->sent ==
	    messages->verified + messages->wrong + result_lost(messages) +
	    messages->in_flight;
}

double
result_asked(const struct result *result)
{
	if (result->plan.duration_ns > 0)
		return 0;
	return (double)result->plan.messages * (double)result->plan.rank_connections;
}

static bool
is_cut_short(const struct result *result)
{
	return (double)(result->messages.sent + result->warmup.sent) <
	    result_asked(result);
}

/* Also of a run that somebody ended early: what was asked for and never tried is not
 * all right. */
static bool
something_is_missing(const struct result *result)
{
	return result_lost(&result->messages) + result_lost(&result->warmup) +
		result->messages.in_flight + result->warmup.in_flight +
		result_failed(&result->connections) + result->connections.lost >
	    0 ||
	    result->connections.first < result->connections.requested ||
	    result->messages.sent == 0 || is_cut_short(result);
}

int
result_exit_status(const struct result *result)
{
	if (result->messages.wrong + result->warmup.wrong + result->mismatch_count > 0)
		return 2;
	if (something_is_missing(result) || !result_adds_up(&result->messages) ||
	    !reconcile_is_consistent(result))
		return 1;
	for (size_t i = 0; i < result->threshold_count; i++)
		if (!result->thresholds[i].passed)
			return 99;
	if (result->plan.strict && result->trust.verdict != RESULT_VALID)
		return 3;
	return 0;
}

/* The variance of the seconds' means against what independent values would give. */
double
result_effective_count(const struct result *result)
{
	const struct histogram *response = result->latency[LATENCY_RESPONSE];
	double count = (double)histogram_count(response), inflation = 0;
	double mean = histogram_mean(response), deviation = histogram_stddev(response);
	size_t batches = 0;

	for (size_t i = 0; i < result->second_count; i++) {
		const struct result_second *second = &result->seconds[i];
		double off = second->mean_ns - mean;

		if (second->count == 0 || isnan(second->mean_ns))
			continue;
		batches++;
		inflation += off * off * (double)second->count;
	}
	if (batches < SECONDS_FOR_VARIANCE || deviation <= 0)
		return count;
	inflation /= deviation * deviation * (double)(batches - 1);
	return inflation > 1 ? fmax(count / inflation, (double)batches) : count;
}
