#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/stats/percentile_interval.h"
#include "lib/units.h"
#include "lib/xmalloc.h"
#include "client/result/merge_times.h"
#include "client/result/result.h"
#include "client/result/result_fields.h"
#include "client/result/servers.h"
#include "client/result/tls_result.h"

static int
fail(char *error, const char *what)
{
	snprintf(error, RESULT_ERROR_MAX, "%s", what);
	return -1;
}

/* Gives a copied struct its own texts. */
static void
copy_texts(const struct json_record_field *fields, void *copy)
{
	if (json_record_copy_texts(fields, copy) < 0)
		xmalloc_fail();
}

static char *
join_reasons(const struct result_trust *trust)
{
	char *text = xstrdup("");
	for (size_t i = 0; i < trust->reason_count; i++) {
		char *longer =
		    xasprintf("%s%s%s", text, i > 0 ? "; " : "", trust->reasons[i]);
		free(text);
		text = longer;
	}
	return text;
}

/* FNV-1a. */
static void
hash(uint64_t *sum, const void *data, size_t length)
{
	const uint8_t *bytes = data;
	for (size_t i = 0; i < length; i++)
		*sum = (*sum ^ bytes[i]) * UINT64_C(0x100000001b3);
}

/* Identifies a run by host, time, process ids and traffic: a copy of its file has the
 * same. "" without process ids. */
static char *
identify(const struct result *result)
{
	const char *hostname =
	    result->host.hostname != NULL ? result->host.hostname : "";
	uint64_t sum = UINT64_C(0xcbf29ce484222325), pids = 0;
	const uint64_t numbers[] = { result->started_at_ns, result->messages.sent,
		result->messages.verified, result->bytes_sent, result->bytes_received };
	hash(&sum, hostname, strlen(hostname));
	hash(&sum, numbers, sizeof(numbers));
	for (size_t i = 0; i < result->process_count; i++) {
		pids |= result->processes[i].pid;
		hash(&sum, &result->processes[i].pid, sizeof(uint64_t));
	}
	return pids == 0 ? xstrdup("") : xasprintf("%016llx", (unsigned long long)sum);
}

/* The figures of a result that cannot be derived from the merged histograms. */
static struct result_rank
summarize(const struct result *result)
{
	const struct histogram *h = result->latency[LATENCY_RESPONSE];
	const char *hostname = result->host.hostname;
	char started[UNITS_TEXT_MAX];
	return (struct result_rank){
		.rank = result->plan.rank,
		.elapsed_s = result->elapsed_s,
		.messages_per_s = result->messages_per_s,
		.messages = result->messages,
		.p50_ns = histogram_percentile(h, 50),
		.p90_ns = histogram_percentile(h, 90),
		.p99_ns = histogram_percentile(h, 99),
		.p999_ns = histogram_percentile(h, 99.9),
		.p9999_ns = histogram_percentile(h, 99.99),
		.max_ns = histogram_max(h),
		.id = identify(result),
		.hostname = xstrdup(hostname != NULL ? hostname : ""),
		.started_at =
		    xstrdup(units_format_time(result->started_at_ns, 0, started)),
		.verdict = xstrdup(result_verdict_names[result->trust.verdict]),
		.reasons = join_reasons(&result->trust),
	};
}

/* Appends the ranks of `from`, or `from` itself as a rank. */
static void
add_ranks(struct result *into, const struct result *from)
{
	bool merged = from->rank_count > 0;
	size_t more = merged ? from->rank_count : 1;
	into->ranks =
	    xreallocarray(into->ranks, into->rank_count + more, sizeof(into->ranks[0]));
	for (size_t i = 0; i < more; i++) {
		struct result_rank *rank = &into->ranks[into->rank_count++];
		*rank = merged ? from->ranks[i] : summarize(from);
		if (merged)
			copy_texts(result_rank_fields, rank);
	}
}

/* True for a member that does not make two conversations different: a file may have
 * another name on each host, and results of earlier versions have no digest. */
static bool
is_set_aside(
    const char *member, const struct result_plan *a, const struct result_plan *b)
{
	const char *x = a->conversation_digest, *y = b->conversation_digest;
	if (strcmp(member, "conversation_digest") == 0)
		return x[0] == '\0' || y[0] == '\0';
	if (strcmp(member, "message") == 0 || strcmp(member, "conversation") == 0)
		return x[0] != '\0' && strcmp(x, y) == 0;
	return false;
}

/* The first member of the plan that makes them different loads; NULL: none. */
static const char *
difference_of(const struct result_plan *a, const struct result_plan *b)
{
	static const char *const same[] = { "load", "conversation_digest", "message",
		"conversation", "expect", "framing", "arrivals", "close", "ranks",
		"rate", "connect_rate", "interval_ns", "pipeline", "duration_ns",
		"warmup_ns", "messages", "messages_per_connection", "lifetime_ns",
		"proxy_protocol", "proxy_source", "proxy_tlvs", "expect_proxy", "tls",
		"tls_resume" };
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		for (const struct json_record_field *field = result_plan_fields;
		     field->name != NULL; field++)
			if (strcmp(field->name, same[i]) == 0 &&
			    !is_set_aside(same[i], a, b) &&
			    !json_record_equals(field, a, b))
				return field->name;
	/* Each rank knows the connections of all ranks. */
	return a->ranks > 1 && a->connections != b->connections ? "connections" : NULL;
}

static int
check_pair(const struct result *into, const struct result_rank *a,
    const struct result_rank *b, char *error)
{
	if (into->plan.ranks > 1 && a->rank == b->rank) {
		snprintf(error, RESULT_ERROR_MAX, "rank %llu occurs twice",
		    (unsigned long long)a->rank);
		return -1;
	}
	if (a->id[0] == '\0' || strcmp(a->id, b->id) != 0)
		return 0;
	snprintf(error, RESULT_ERROR_MAX,
	    "contains the run of host %.64s at %.32s, which another result contains too",
	    a->hostname, a->started_at);
	return -1;
}

static int
check_ranks(const struct result *into, char *error)
{
	for (size_t i = 0; i < into->rank_count; i++)
		for (size_t j = 0; j < i; j++)
			if (check_pair(into, &into->ranks[i], &into->ranks[j], error) <
			    0)
				return -1;
	return 0;
}

static struct result_target *
find_target(struct result *result, const char *name)
{
	for (size_t i = 0; i < result->target_count; i++)
		if (strcmp(result->targets[i].name, name) == 0)
			return &result->targets[i];
	result->targets = xreallocarray(
	    result->targets, result->target_count + 1, sizeof(result->targets[0]));
	struct result_target *target = &result->targets[result->target_count++];
	*target = (struct result_target){
		.name = xstrdup(name),
		.last_error = xstrdup(""),
	};
	return target;
}

/* The response latency of a target; NULL: not known. */
static const struct histogram *
response_of(const struct result *result, const struct result_target *target)
{
	return result->target_count == 1 ? result->latency[LATENCY_RESPONSE]
					 : target->response;
}

/* Gives a single target its own histogram, before others are added to that of the
 * whole. */
static void
split_target(struct result *result)
{
	if (result->target_count != 1 || result->targets[0].response != NULL)
		return;
	struct histogram *own =
	    xmalloc_check(histogram_create(&counters_latency_config));
	if (histogram_add(own, result->latency[LATENCY_RESPONSE]) < 0)
		abort(); /* both have counters_latency_config */
	result->targets[0].response = own;
}

/* Percentiles do not add, histograms do: results of earlier versions have none. */
static void
add_response(struct result_target *target, const struct result_target *other,
    const struct histogram *response)
{
	bool is_first = target->verified == 0;
	if (other->verified == 0)
		return;
	if (is_first && target->response == NULL && response != NULL)
		target->response =
		    xmalloc_check(histogram_create(&counters_latency_config));
	if (response != NULL && target->response != NULL) {
		if (histogram_add(target->response, response) < 0)
			abort(); /* both have counters_latency_config */
		target->p50_ns = percentile_if_known(target->response, 50);
		target->p99_ns = percentile_if_known(target->response, 99);
		return;
	}
	free(target->response);
	target->response = NULL;
	target->p50_ns = is_first ? other->p50_ns : UINT64_MAX;
	target->p99_ns = is_first ? other->p99_ns : UINT64_MAX;
}

/* Adds the targets of another result, by their names. */
static void
add_targets(struct result *into, const struct result *from)
{
	for (size_t i = 0; i < from->target_count; i++) {
		const struct result_target *other = &from->targets[i];
		struct result_target *target = find_target(into, other->name);
		add_response(target, other, response_of(from, other));
		json_record_add(result_target_fields, target, other);
		if (other->last_error[0] == '\0')
			continue;
		free(target->last_error);
		target->last_error = xstrdup(other->last_error);
	}
}

static struct result_address *
find_address(struct result *result, const struct result_address *other)
{
	for (size_t i = 0; i < result->address_count; i++)
		if (strcmp(result->addresses[i].target, other->target) == 0 &&
		    strcmp(result->addresses[i].address, other->address) == 0)
			return &result->addresses[i];
	result->addresses = xreallocarray(
	    result->addresses, result->address_count + 1, sizeof(result->addresses[0]));
	struct result_address *address = &result->addresses[result->address_count++];
	*address = (struct result_address){
		.target = xstrdup(other->target),
		.address = xstrdup(other->address),
		.last_error = xstrdup(""),
	};
	return address;
}

/* Adds the addresses of another result: hosts may resolve a name differently. */
static void
add_addresses(struct result *into, const struct result *from)
{
	for (size_t i = 0; i < from->address_count; i++) {
		const struct result_address *other = &from->addresses[i];
		struct result_address *address = find_address(into, other);
		json_record_add(result_address_fields, address, other);
		if (other->last_error[0] == '\0')
			continue;
		free(address->last_error);
		address->last_error = xstrdup(other->last_error);
	}
}

/* NULL if none has that cause yet. */
static struct result_losses *
find_losses(struct result *result, const struct result_losses *other)
{
	for (size_t i = 0; i < result->loss_count; i++)
		if (strcmp(result->losses[i].why, other->why) == 0 &&
		    result->losses[i].was_idle == other->was_idle)
			return &result->losses[i];
	return NULL;
}

static void
replace(char **text, const char *other)
{
	free(*text);
	*text = xstrdup(other);
}

/* Adds the losses of another result, by their cause. */
static void
add_losses(struct result *into, const struct result *from)
{
	for (size_t i = 0; i < from->loss_count; i++) {
		const struct result_losses *other = &from->losses[i];
		struct result_losses *losses = find_losses(into, other);
		if (losses == NULL) {
			into->losses = xreallocarray(into->losses, into->loss_count + 1,
			    sizeof(into->losses[0]));
			losses = &into->losses[into->loss_count++];
			*losses = *other;
			copy_texts(result_losses_fields, losses);
			continue;
		}
		json_record_add(result_losses_fields, losses, other);
		if (other->silent_min_ns < losses->silent_min_ns)
			losses->silent_min_ns = other->silent_min_ns;
		if (other->age_min_ns < losses->age_min_ns)
			losses->age_min_ns = other->age_min_ns;
		/* All times have the same format. */
		if (strcmp(other->first_at, losses->first_at) < 0)
			replace(&losses->first_at, other->first_at);
		if (strcmp(other->last_at, losses->last_at) > 0)
			replace(&losses->last_at, other->last_at);
	}
}

static void
append_rows(
    const struct result_list *list, struct result *into, const struct result *from)
{
	void **items = result_list_items(list, into);
	size_t *count = result_list_count(list, into);
	size_t more = *result_list_count(list, from);
	*items = xreallocarray(*items, *count + more, list->row_bytes);
	for (size_t i = 0; i < more; i++) {
		void *row = result_list_at(list, into, (*count)++);
		memcpy(row, result_list_at(list, from, i), list->row_bytes);
		if (list->fields != NULL)
			copy_texts(list->fields, row);
	}
}

static void
add_lists(struct result *into, const struct result *from)
{
	for (const struct result_list *list = result_lists; list->name != NULL; list++)
		if (list->is_appended)
			append_rows(list, into, from);
	result_lost_connections_sort(into);
}

/* False if a sum is larger than the numbers that result_read_json accepts. */
static bool
fits(const struct result *result)
{
	if (!json_record_fits(result_fields, result))
		return false;
	for (const struct result_list *list = result_lists; list->name != NULL; list++)
		for (size_t i = 0;
		     list->fields != NULL && i < *result_list_count(list, result); i++)
			if (!json_record_fits(
				list->fields, result_list_at(list, result, i)))
				return false;
	for (size_t i = 0; i < result->step_count; i++)
		if (result->step_lost[i] > INT64_MAX)
			return false;
	for (size_t i = 0; i < result->target_count; i++)
		if (result->targets[i].response != NULL &&
		    histogram_count(result->targets[i].response) > INT64_MAX)
			return false;
	for (int i = 0; i < result_latency_count(result); i++)
		if (histogram_count(result->latency[i]) > INT64_MAX ||
		    histogram_dropped(result->latency[i]) > INT64_MAX)
			return false;
	return true;
}

/* The standard error of a percentile's rank, as a part of `share`. */
static double
rank_error(const struct precision *precision, double p, double share)
{
	return share * sqrt(p * (1 - p) / precision->effective);
}

/* The ranks load the same server: takes their errors for correlated, which makes the
 * intervals too wide rather than too narrow. To be called before the histograms are
 * added. */
static void
add_precision(struct result *into, const struct result *from, int which, int at)
{
	if (at < 0)
		return;
	double a = (double)histogram_count(into->latency[at]);
	double b = (double)histogram_count(from->latency[which]);
	struct result_precision *to = &into->precision[at];
	const struct result_precision *other = &from->precision[which];
	if (b == 0)
		return;
	if (a == 0) {
		*to = *other;
		return;
	}
	for (size_t i = 0; i < RESULT_PERCENTILES; i++) {
		struct precision *x = &to->percentiles[i];
		const struct precision *y = &other->percentiles[i];
		double p = result_percentiles[i] / 100;
		if (x->effective <= 0 || y->effective <= 0) {
			*x = (struct precision){ 0 };
			continue;
		}
		double error =
		    rank_error(x, p, a / (a + b)) + rank_error(y, p, b / (a + b));
		*x = (struct precision){ p * (1 - p) / (error * error),
			fmin(x->degrees, y->degrees) };
	}
	to->mean_half_ns = (a * to->mean_half_ns + b * other->mean_half_ns) / (a + b);
}

void
result_merge_start(struct result *result)
{
	if (result->rank_count == 0)
		add_ranks(result, result);
}

static bool
has_rank(const struct result *result, const char *id)
{
	for (size_t i = 0; i < result->rank_count; i++)
		if (id[0] != '\0' && strcmp(result->ranks[i].id, id) == 0)
			return true;
	return false;
}

bool
result_merge_contains(const struct result *merged, const struct result *result)
{
	if (result->rank_count == 0) {
		char *id = identify(result);
		bool contains = has_rank(merged, id);
		free(id);
		return contains;
	}
	for (size_t i = 0; i < result->rank_count; i++)
		if (!has_rank(merged, result->ranks[i].id))
			return false;
	return true;
}

char *
result_merge_ids(const struct result *result)
{
	char *ids = result->rank_count == 0 ? identify(result) : xstrdup("");
	for (size_t i = 0; i < result->rank_count; i++) {
		const char *id = result->ranks[i].id;
		char *longer = id[0] == '\0'
		    ? NULL
		    : xasprintf("%s%s%s", ids, i > 0 ? " " : "", id);
		free(ids);
		if (longer == NULL)
			return xstrdup("");
		ids = longer;
	}
	return ids;
}

static bool
has_same_steps(const struct result *a, const struct result *b)
{
	for (size_t i = 0; i < a->step_count && i < b->step_count; i++)
		if (strcmp(a->steps[i], b->steps[i]) != 0)
			return false;
	return a->step_count == b->step_count;
}

/* The steps are servers, of which hosts may reach different ones. */
static bool
is_by_server(const struct result *result)
{
	return strcmp(result->plan.expect, reply_kinds[REPLY_WHOAMI].name) == 0;
}

static int
find_step(const struct result *result, const char *name)
{
	for (size_t i = 0; i < result->step_count; i++)
		if (strcmp(result->steps[i], name) == 0)
			return (int)i;
	return -1;
}

static void
add_steps(struct result *into, const struct result *from)
{
	for (size_t i = 0; i < from->step_count; i++)
		if (find_step(into, from->steps[i]) < 0)
			result_step_add(into, from->steps[i]);
}

/* The latency of `into` with the name of one of `from`; -1: there was no room. */
static int
latency_of(const struct result *into, const struct result *from, int which)
{
	if (which < LATENCY_STEP_FIRST)
		return which;
	int step = find_step(into, from->steps[which - LATENCY_STEP_FIRST]);
	return step < 0 ? -1 : LATENCY_STEP_FIRST + step;
}

static void
add_lost_steps(struct result *into, const struct result *from)
{
	for (size_t i = 0; i < from->step_count; i++) {
		int step = find_step(into, from->steps[i]);
		if (step < 0)
			continue;
		uint64_t *sum = &into->step_lost[step];
		*sum = *sum + from->step_lost[i] < *sum ? UINT64_MAX
							: *sum + from->step_lost[i];
	}
}

int
result_merge(struct result *into, const struct result *from, char *error)
{
	const char *difference = difference_of(&into->plan, &from->plan);
	if (difference != NULL) {
		snprintf(error, RESULT_ERROR_MAX,
		    "its plan differs from that of the first result: \"%s\"",
		    difference);
		return -1;
	}
	if (is_by_server(into))
		add_steps(into, from);
	else if (!has_same_steps(into, from))
		return fail(error, "its conversation has other named steps");
	result_merge_start(into);
	split_target(into);
	merge_times_add_tenths(into, from);
	add_ranks(into, from);
	if (check_ranks(into, error) < 0)
		return -1;
	into->rate_half += from->rate_half;
	for (int i = 0; i < result_latency_count(from); i++) {
		int to = latency_of(into, from, i);
		add_precision(into, from, i, to);
		if (to >= 0 && histogram_add(into->latency[to], from->latency[i]) < 0)
			return fail(error, "its histograms have another resolution");
	}
	add_lost_steps(into, from);
	json_record_add(result_fields, into, from);
	labels_merge(&into->labels, &from->labels);
	if (into->plan.ranks <= 1)
		into->plan.connections += from->plan.connections;
	add_targets(into, from);
	add_addresses(into, from);
	add_losses(into, from);
	servers_merge(into, from);
	tls_result_merge(into, from);
	add_lists(into, from);
	merge_times_add(into, from);
	if (!fits(into))
		return fail(
		    error, "the sum of its figures and the others exceeds 63 bits");
	/* The ledgers of all ranks count the same server, and percentiles do not add.
	 */
	result_ledger_clear(into);
	result_client_delays_clear(into);
	result_fill_single_target(into);
	return 0;
}
