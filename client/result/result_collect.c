#include <sys/resource.h>
#include <sys/utsname.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/printable.h"
#include "lib/resources.h"

#include "client/measure/sampler.h"
#include "client/plan/source_address.h"
#include "client/result/result.h"
#include "client/result/result_lost.h"
#include "client/result/result_target.h"

#define MESSAGE_TEXT_MAX 256
#define SHOWN_TEXT_MAX 200 /* of what was given on the command line */

/* What is sent, in words. */
static char *
message_text(const struct plan *plan)
{
	char text[MESSAGE_TEXT_MAX], shown[SHOWN_TEXT_MAX];

	if (plan->payload && plan->size_min == plan->size_max)
		snprintf(text, sizeof(text), "seeded payload of %llu bytes",
		    (unsigned long long)plan->size_min);
	else if (plan->payload)
		snprintf(text, sizeof(text), "seeded payload of %llu to %llu bytes",
		    (unsigned long long)plan->size_min,
		    (unsigned long long)plan->size_max);
	else if (plan->file != NULL)
		snprintf(text, sizeof(text), "file %s",
		    printable_escape(plan->file, shown, sizeof(shown)));
	else if (plan->texts.count == 0)
		snprintf(text, sizeof(text), "the three default messages");
	else if (plan->texts.count == 1)
		snprintf(text, sizeof(text), "\"%s\"",
		    printable_escape(plan->texts.items[0], shown, sizeof(shown)));
	else
		snprintf(text, sizeof(text), "%u messages, \"%s\" first",
		    plan->texts.count,
		    printable_escape(plan->texts.items[0], shown, sizeof(shown)));
	return strdup(text);
}

static int
collect_plan(const struct plan *plan, struct result_plan *ret)
{
	ret->targets = calloc(plan->target_count + 1, sizeof(ret->targets[0]));
	if (ret->targets == NULL)
		return -1;
	for (uint32_t i = 0; i < plan->target_count; i++) {
		ret->targets[i] = strdup(plan->targets[i].text);
		if (ret->targets[i] == NULL)
			return -1;
		ret->target_count++;
	}
	ret->load = strdup(plan_load_names[plan->load]);
	ret->message = message_text(plan);
	ret->expect = strdup(plan->expect_text != NULL ? plan->expect_text : "auto");
	ret->framing = strdup(framing_names[plan->framing]);
	ret->arrivals = strdup(plan_arrivals_names[plan->arrivals]);
	ret->close = strdup(plan_close_names[plan->close]);
#define X(name, how) ret->name = (uint64_t)plan->name;
	RESULT_PLAN_COUNTS(X)
#undef X
	ret->seed = plan->seed;
	ret->rate = plan->rate_all;
	ret->connect_rate = plan->connect_rate_all;
#define X(name, how) ret->name = plan->name;
	RESULT_PLAN_FLAGS(X)
#undef X
#define X(name, how)                                                                   \
	if (ret->name == NULL)                                                         \
		return -1;
	RESULT_PLAN_TEXTS(X)
#undef X
	return 0;
}

static void
read_messages(struct result_messages *to, const struct counters_messages *from)
{
	to->sent = counters_get(&from->sent);
	to->verified = counters_get(&from->verified);
	to->wrong = counters_get(&from->wrong);
	to->in_flight = counters_get(&from->in_flight);
	for (int i = 0; i < MESSAGE_LOSS_COUNT; i++)
		to->lost[i] = counters_get(&from->lost[i]);
}

static void
read_connections(struct result_connections *to, const struct counters *from)
{
	to->attempted = counters_get(&from->connections_attempted);
	to->established = counters_get(&from->connections_established);
	to->reconnects = counters_get(&from->reconnects);
	to->lost = counters_get(&from->connections_lost);
	to->reset = counters_get(&from->connections_reset);
	to->first = counters_get(&from->connections_first);
	for (int i = 0; i < CONNECT_FAILURE_COUNT; i++)
		to->failed[i] = counters_get(&from->connections_failed[i]);
}

static void
read_counters(const struct counters *sum, struct result *ret)
{
	read_connections(&ret->connections, sum);
	read_messages(&ret->messages, &sum->messages);
	read_messages(&ret->warmup, &sum->warmup);
	ret->messages_due = counters_get(&sum->messages_due);
	ret->messages_late = counters_get(&sum->messages_late);
	ret->bytes_sent = counters_get(&sum->bytes_sent);
	ret->bytes_received = counters_get(&sum->bytes_received);
	ret->bytes_unexpected = counters_get(&sum->bytes_unexpected);
	ret->oldest_lost_ns = counters_get(&sum->oldest_lost_ns);
	ret->host.retransmits = counters_get(&sum->retransmits);
}

static void
collect_process(const struct counters *counters, struct result *ret)
{
	struct result_process *process = &ret->processes[ret->process_count++];
	uint64_t started = counters_get(&counters->started_ns);
	uint64_t stopped = counters_get(&counters->stopped_ns);

	process->process = counters->process;
	process->pid = (uint64_t)atomic_load(&counters->pid);
	process->connections = counters->connections;
	process->sent = counters_get(&counters->messages.sent);
	process->verified = counters_get(&counters->messages.verified);
	process->cpu_user_s = (double)counters_get(&counters->cpu_user_ns) / 1e9;
	process->cpu_sys_s = (double)counters_get(&counters->cpu_system_ns) / 1e9;
	process->loop_lag_max_ns = counters_get(&counters->loop_lag_max_ns);
	process->died = atomic_load(&counters->phase) == PHASE_DIED;
	if (stopped == 0)
		stopped = clock_now_ns();
	if (started != 0 && stopped > started)
		process->cpu_share = (process->cpu_user_s + process->cpu_sys_s) /
		    ((double)(stopped - started) / 1e9);
	ret->host.cpu_user_s += process->cpu_user_s;
	ret->host.cpu_sys_s += process->cpu_sys_s;
	ret->connections.requested += counters->connections;
}

static int
collect_mismatches(const struct counters *counters, struct result *ret)
{
	uint32_t count =
	    atomic_load_explicit(&counters->mismatches, memory_order_acquire);

	if (count > COUNTERS_MISMATCHES_MAX)
		count = COUNTERS_MISMATCHES_MAX;
	if (count > RESULT_MISMATCHES_MAX - ret->mismatch_count)
		count = (uint32_t)(RESULT_MISMATCHES_MAX - ret->mismatch_count);
	if (count == 0)
		return 0;
	if (ret->mismatches == NULL)
		ret->mismatches =
		    calloc(RESULT_MISMATCHES_MAX, sizeof(ret->mismatches[0]));
	if (ret->mismatches == NULL)
		return -1;
	memcpy(ret->mismatches + ret->mismatch_count, counters->mismatch,
	    count * sizeof(counters->mismatch[0]));
	ret->mismatch_count += count;
	return 0;
}

static int
collect_counters(const struct counters *counters, struct result *ret)
{
	for (int i = 0; i < LATENCY_KIND_COUNT; i++)
		if (histogram_add(ret->latency[i], counters->histograms[i]) < 0)
			return -1;
	collect_process(counters, ret);
	return collect_mismatches(counters, ret);
}

/* The measured part ends with the last message sent or answered, not with the patience
 * for those that never were. */
static uint64_t
end_of(const struct plan *plan, const struct counters_map *counters_map,
    const struct counters *sum)
{
	uint64_t last_stop = counters_get(&sum->stopped_ns);
	uint64_t last_answer = counters_get(&sum->last_answer_ns);
	bool runs = false;

	for (uint32_t i = 0; i < counters_map->count; i++) {
		const struct counters *counters = counters_map_at(counters_map, i);
		runs = runs ||
		    (counters_get(&counters->stopped_ns) == 0 &&
			atomic_load(&counters->phase) < PHASE_FINISHED);
	}
	if (runs)
		return clock_now_ns();
	/* Without an end in time it stops when the last loss is certain. */
	if (last_answer > last_stop || (plan->duration_ns == 0 && last_answer > 0))
		return last_answer;
	return last_stop;
}

/* How long connections were made: until all were there; those that come anew are made
 * while the load runs, and not while its start was waited for. */
static double
calling_s(const struct result *result, uint64_t began, uint64_t connected,
    uint64_t start, uint64_t end)
{
	uint64_t time = connected > began ? connected - began : 0;
	uint64_t from = start > connected ? start : connected;

	if (result->connections.reconnects > 0 && end > from)
		time += end - from;
	return time > 0 ? (double)time / 1e9 : INFINITY;
}

static void
collect_times(const struct plan *plan, const struct counters_map *counters_map,
    const struct counters *sum, const struct sampler *sampler, struct result *ret)
{
	uint64_t start = atomic_load(&counters_map->control_block->start_ns),
		 connected = counters_get(&sum->connected_ns);
	uint64_t end = end_of(plan, counters_map, sum);

	ret->started_at_ns =
	    counters_map->control_block->started_at_ns + plan->warmup_ns;
	if (start != 0 && end > start + plan->warmup_ns)
		ret->elapsed_s = (double)(end - start - plan->warmup_ns) / 1e9;
	if (ret->elapsed_s > 0)
		ret->messages_per_s = (double)ret->messages.verified / ret->elapsed_s;
	if (connected == 0)
		connected = end;
	if (sampler != NULL)
		ret->connections_per_s = (double)ret->connections.established /
		    calling_s(ret, sampler->began_ns, connected, start, end);
}

static int
collect_host(const struct sampler *sampler, struct result_host *ret)
{
	struct rusage children;
	struct network_counters now;
	struct utsname name;

	if (uname(&name) != 0)
		return -1;
	ret->hostname = strdup(name.nodename);
	ret->kernel = strdup(name.release);
	if (ret->hostname == NULL || ret->kernel == NULL)
		return -1;
	ret->cpus = resources_cpus();
	if (getrusage(RUSAGE_CHILDREN, &children) == 0)
		ret->memory_bytes = (uint64_t)children.ru_maxrss * 1024;
	if (sampler == NULL)
		return 0;
	socket_info_read_network_counters(&now);
	ret->host_retransmits = now.retransmits - sampler->network.retransmits;
	ret->listen_overflows =
	    now.listen_overflows - sampler->network.listen_overflows;
	ret->listen_drops = now.listen_drops - sampler->network.listen_drops;
	return 0;
}

static void
collect_ports(
    const struct plan *plan, const struct sampler *sampler, struct result_ports *ret)
{
	uint64_t sources = plan->source_count > 0 ? plan->source_count : 1;

	if (sampler == NULL)
		return;
	ret->available = source_address_ports() * sources * plan->target_count;
	ret->held_max = sampler->ports_held_max;
	ret->time_wait_before = sampler->time_wait_before;
	ret->time_wait_max = sampler->time_wait_max;
}

static int
collect_seconds(const struct sampler *sampler, struct result *ret)
{
	if (sampler == NULL)
		return 0;
	ret->interrupted = sampler->interrupted;
	if (sampler->count == 0)
		return 0;
	ret->seconds = calloc(sampler->count, sizeof(ret->seconds[0]));
	if (ret->seconds == NULL)
		return -1;
	memcpy(ret->seconds, sampler->rows, sampler->count * sizeof(ret->seconds[0]));
	ret->second_count = sampler->count;
	return 0;
}

static int
collect_thresholds(const struct plan *plan, struct result *ret)
{
	char error[RESULT_ERROR_MAX];

	if (plan->thresholds.count == 0)
		return 0;
	ret->thresholds = calloc(plan->thresholds.count, sizeof(ret->thresholds[0]));
	if (ret->thresholds == NULL)
		return -1;
	for (uint32_t i = 0; i < plan->thresholds.count; i++) {
		if (threshold_parse(plan->thresholds.items[i],
			&ret->thresholds[i].threshold, error, sizeof(error)) < 0) {
			errno = EINVAL;
			return -1;
		}
		ret->threshold_count++;
	}
	return 0;
}

static int
collect_all(const struct plan *plan, const struct counters_map *counters_map,
    const struct sampler *sampler, const char *ledger, struct result *ret)
{
	struct counters sum;
	counters_sum(counters_map, &sum);
	if (collect_plan(plan, &ret->plan) < 0)
		return -1;
	ret->processes = calloc(counters_map->count, sizeof(ret->processes[0]));
	if (ret->processes == NULL)
		return -1;
	for (uint32_t i = 0; i < counters_map->count; i++)
		if (collect_counters(counters_map_at(counters_map, i), ret) < 0)
			return -1;
	if (result_target_collect(plan, counters_map, ret) < 0 ||
	    result_lost_collect(counters_map, ret) < 0)
		return -1;
	read_counters(&sum, ret);
	collect_times(plan, counters_map, &sum, sampler, ret);
	collect_ports(plan, sampler, &ret->ports);
	if (ledger != NULL && (ret->ledger = strdup(ledger)) == NULL)
		return -1;
	if (collect_host(sampler, &ret->host) < 0 ||
	    collect_seconds(sampler, ret) < 0 || collect_thresholds(plan, ret) < 0)
		return -1;
	return result_evaluate(ret);
}

int
result_collect(const struct plan *plan, const struct counters_map *counters_map,
    const struct sampler *sampler, const char *ledger, struct result *ret)
{
	if (result_init(ret) < 0)
		return -1;
	if (collect_all(plan, counters_map, sampler, ledger, ret) < 0) {
		result_finish(ret);
		return -1;
	}
	return 0;
}
