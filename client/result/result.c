#include "client/result/result.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/xmalloc.h"
#include "client/result/result_fields.h"

const double result_percentiles[] = { 50, 90, 99, 99.9, 99.99 };
const char *const result_percentile_names[] = { "p50", "p90", "p99", "p999", "p9999" };
const char *const result_verdict_names[] = { "valid", "suspect", "invalid", NULL };

void
result_init(struct result *result)
{
	memset(result, 0, sizeof(*result));
	result->rate_half = NAN;
	for (int i = 0; i < LATENCY_KIND_COUNT; i++) {
		result->latency[i] =
		    xmalloc_check(histogram_create(&counters_latency_config));
		result->precision[i].mean_half_ns = NAN;
	}
}

static void
finish_list(const struct result_list *list, const struct result *result)
{
	for (size_t i = 0; list->fields != NULL && i < *result_list_count(list, result);
	     i++)
		json_record_finish(list->fields, result_list_at(list, result, i));
	free(*result_list_items(list, result));
}

void
result_finish(struct result *result)
{
	json_record_finish(result_fields, result);
	labels_finish(&result->labels);
	for (size_t i = 0; i < result->target_count; i++)
		free(result->targets[i].response);
	for (const struct result_list *list = result_lists; list->name != NULL; list++)
		finish_list(list, result);
	for (int i = 0; i < result_latency_count(result); i++)
		free(result->latency[i]);
	for (size_t i = 0; i < result->step_count; i++)
		free(result->steps[i]);
	free(result->steps);
	free(result->findings);
	free(result->clients);
	result_ledger_clear(result);
	result_trust_clear(&result->trust);
	memset(result, 0, sizeof(*result));
}

void
result_ledger_clear(struct result *result)
{
	finish_list(&result_ledger_servers, result);
	finish_list(&result_ledger_findings, result);
	result->ledger = (struct reconciliation){ 0 };
	result->has_ledger = false;
}

void
result_client_delays_clear(struct result *result)
{
	for (size_t i = 0; i < result->client_delay_count; i++)
		json_record_finish(
		    result_client_delay_fields, &result->client_delays[i]);
	free(result->client_delays);
	result->client_delays = NULL;
	result->client_delay_count = 0;
}

void
result_step_add(struct result *result, const char *name)
{
	int which = result_latency_count(result);
	if (which >= LATENCY_MAX)
		return;
	result->steps = xreallocarray(
	    result->steps, result->step_count + 1, sizeof(result->steps[0]));
	result->steps[result->step_count++] = xstrdup(name);
	result->latency[which] =
	    xmalloc_check(histogram_create(&counters_latency_config));
	result->precision[which] = (struct result_precision){ .mean_half_ns = NAN };
}

const char *
result_latency_name(const struct result *result, int which, char *buffer)
{
	if (which < LATENCY_KIND_COUNT)
		return threshold_latency_names[which];
	snprintf(buffer, RESULT_LATENCY_NAME_MAX, "[%.31s]",
	    result->steps[which - LATENCY_STEP_FIRST]);
	return buffer;
}

int
result_threshold_latency(const struct result *result, const struct threshold *threshold)
{
	if (threshold->step[0] == '\0')
		return threshold->histogram;
	for (size_t i = 0; i < result->step_count; i++)
		if (strcmp(result->steps[i], threshold->step) == 0)
			return LATENCY_STEP_FIRST + (int)i;
	return -1;
}

void
result_trust_clear(struct result_trust *trust)
{
	json_record_finish(result_trust_fields, trust);
	memset(trust, 0, sizeof(*trust));
}

void
result_trust_add(
    struct result_trust *trust, enum result_verdict verdict, const char *format, ...)
{
	va_list arguments;
	char *reason;
	va_start(arguments, format);
	if (vasprintf(&reason, format, arguments) < 0)
		xmalloc_fail();
	va_end(arguments);
	trust->reasons = xreallocarray(
	    trust->reasons, trust->reason_count + 1, sizeof(trust->reasons[0]));
	trust->reasons[trust->reason_count++] = reason;
	if (verdict > trust->verdict)
		trust->verdict = verdict;
}

static uint64_t
known_percentile(const struct result *result, double percentile)
{
	struct percentile_interval found =
	    result_percentile(result, LATENCY_RESPONSE, percentile);
	return found.known ? found.value : UINT64_MAX;
}

void
result_fill_single_target(struct result *result)
{
	if (result->target_count != 1)
		return;
	struct result_target *target = &result->targets[0];
	target->verified = result->messages.verified;
	target->wrong = result->messages.wrong;
	target->lost = result_lost(&result->messages);
	target->p50_ns = known_percentile(result, 50);
	target->p99_ns = known_percentile(result, 99);
	free(target->response);
	target->response = NULL;
}

static int
by_time(const void *a, const void *b)
{
	const struct result_lost_connection *x = a, *y = b;
	return strcmp(x->at, y->at);
}

void
result_lost_connections_sort(struct result *result)
{
	if (result->lost_connection_count > 1)
		qsort(result->lost_connections, result->lost_connection_count,
		    sizeof(result->lost_connections[0]), by_time);
}

uint64_t
result_lost(const struct result_messages *messages)
{
	uint64_t sum = 0;
	for (int i = 0; i < MESSAGE_LOSS_COUNT; i++)
		sum += messages->lost[i];
	return sum;
}

bool
result_uses_ports(const struct result *result)
{
	for (size_t i = 0; i < result->plan.target_count; i++)
		if (strncmp(result->plan.targets[i], "unix:", strlen("unix:")) != 0)
			return true;
	return false;
}

uint64_t
result_failed(const uint64_t failed[CONNECT_FAILURE_COUNT])
{
	uint64_t sum = 0;
	for (int i = 0; i < CONNECT_FAILURE_COUNT; i++)
		sum += failed[i];
	return sum;
}

uint64_t
result_aborted(const struct result_connections *connections)
{
	return connections->close[CLOSE_END_RESET] +
	    connections->close[CLOSE_END_TIMEOUT];
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

double
result_effective_count(const struct result *result, enum latency_kind which)
{
	double least = 0;
	for (size_t i = 0; i < RESULT_PERCENTILES && result_percentiles[i] <= 99; i++) {
		double n = result->precision[which].percentiles[i].effective;
		least = least == 0 ? n : fmin(least, n);
	}
	return least;
}

struct percentile_interval
result_percentile(
    const struct result *result, enum latency_kind which, double percentile)
{
	struct percentile_walk walk = { .is_value_only = false };
	return result_percentile_next(result, which, percentile, &walk);
}

struct percentile_interval
result_percentile_next(const struct result *result, enum latency_kind which,
    double percentile, struct percentile_walk *walk)
{
	const struct precision *all = result->precision[which].percentiles;
	double least = all[0].effective;
	size_t i = 0;
	while (i + 1 < RESULT_PERCENTILES && result_percentiles[i] < percentile)
		least = fmin(least, all[++i].effective);
	return percentile_interval_next(
	    result->latency[which], percentile, &all[i], least, walk);
}
