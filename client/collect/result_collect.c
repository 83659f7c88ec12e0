#include "client/collect/result_collect.h"

#include <sys/resource.h>
#include <sys/utsname.h>

#include <math.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/resources.h"
#include "lib/xmalloc.h"
#include "client/collect/collect_failures.h"
#include "client/collect/collect_plan.h"
#include "client/collect/collect_targets.h"
#include "client/measure/sampler.h"
#include "client/plan/source_address.h"
#include "client/result/client_delay.h"
#include "client/result/servers.h"
#include "client/result/tls_result.h"
#include "client/result/verdict.h"

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
	for (int i = 0; i < CLOSE_END_COUNT; i++)
		to->close[i] = counters_get(&from->connections_closed[i]);
	for (int i = 0; i < CONNECT_FAILURE_COUNT; i++)
		to->failed[i] = counters_get(&from->connections_failed[i]);
	for (int i = 0; i < SOCKET_EVENT_COUNT; i++)
		to->sockets[i] = counters_get(&from->sockets[i]);
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
collect_process(const struct counters *counters, uint64_t start_ns, struct result *ret)
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
	process->cpu_wait_s = (double)counters_get(&counters->cpu_wait_ns) / 1e9;
	process->not_run_s = (double)counters_get(&counters->not_run_ns) / 1e9;
	process->silence_max_ns = counters_get(&counters->silence_max_ns);
	if (process->silence_max_ns > 0)
		process->silence_from_s =
		    (double)(counters_get(&counters->silence_from_ns) - start_ns) / 1e9;
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

static void
collect_counters(const struct counters *counters, uint64_t start_ns, struct result *ret)
{
	for (int i = 0; i < result_latency_count(ret); i++)
		/* Both have counters_latency_config. */
		if (histogram_add(ret->latency[i], counters->histograms[i]) < 0)
			abort();
	collect_process(counters, start_ns, ret);
}

/* The measured part ends with the last message sent or answered, not with the timeout
 * of messages that were never answered. */
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
	/* Without a duration, a process stops only after the last timeout. */
	if (last_answer > last_stop || (plan->duration_ns == 0 && last_answer > 0))
		return last_answer;
	return last_stop;
}

/* Time during which connections were opened: until all were established, and, with
 * reconnects, while the load ran; but not while waiting for the common start. */
static double
connecting_s(const struct result *result, uint64_t began, uint64_t connected,
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
		    connecting_s(ret, sampler->began_ns, connected, start, end);
}

static bool
is_of_pass(const struct conversation *conversation, uint16_t name)
{
	for (uint16_t i = 0; i < conversation->step_count; i++) {
		const struct conversation_step *step = &conversation->steps[i];
		if (step->name == name)
			return conversation->parts[step->first].section ==
			    CONVERSATION_REPEAT;
	}
	return false;
}

/* A pass has each of its steps once: those without an answer to it are wrong, lost or
 * still in flight. */
static void
collect_lost_steps(const struct conversation *conversation, struct result *ret)
{
	const struct result_messages *messages = &ret->messages;
	for (uint16_t i = 0; i < ret->step_count && i < conversation->step_name_count;
	     i++) {
		uint64_t answered =
			     histogram_count(ret->latency[LATENCY_STEP_FIRST + i]),
			 over = messages->sent - messages->in_flight,
			 lost = result_lost(messages);
		uint64_t missing = over > answered ? over - answered : 0;
		if (is_of_pass(conversation, i))
			ret->step_lost[i] = missing < lost ? missing : lost;
	}
}

static void
collect_host(const struct sampler *sampler, struct result_host *ret)
{
	struct rusage children;
	struct network_counters now;
	struct utsname name;
	if (uname(&name) == 0) {
		ret->hostname = xstrdup(name.nodename);
		ret->kernel = xstrdup(name.release);
	}
	ret->cpus = resources_cpus();
	if (getrusage(RUSAGE_CHILDREN, &children) == 0)
		ret->memory_bytes = (uint64_t)children.ru_maxrss * 1024;
	if (sampler == NULL)
		return;
	struct cpu_wait_host wait = cpu_wait_host();
	ret->throttled_s =
	    (double)(wait.throttled_ns - sampler->cpu_wait.throttled_ns) / 1e9;
	ret->steal_s = (double)(wait.steal_ns - sampler->cpu_wait.steal_ns) / 1e9;
	socket_info_read_network_counters(&now);
	ret->host_retransmits = now.retransmits - sampler->network.retransmits;
	ret->listen_overflows =
	    now.listen_overflows - sampler->network.listen_overflows;
	ret->listen_drops = now.listen_drops - sampler->network.listen_drops;
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

static void
collect_seconds(const struct sampler *sampler, struct result *ret)
{
	if (sampler == NULL)
		return;
	ret->interrupted = sampler->interrupted;
	ret->seconds = xcalloc(sampler->count, sizeof(ret->seconds[0]));
	for (size_t i = 0; i < sampler->count; i++)
		ret->seconds[ret->second_count++] = sampler->rows[i];
	ret->tenths = xcalloc(sampler->tenths.count, sizeof(ret->tenths[0]));
	for (size_t i = 0; i < sampler->tenths.count; i++)
		ret->tenths[ret->tenth_count++] = sampler->tenths.rows[i];
}

static void
collect_precision(const struct sampler *sampler, struct result *ret)
{
	if (sampler == NULL)
		return;
	for (int i = 0; i < result_latency_count(ret); i++) {
		const struct batches *batches = &sampler->batches[i];
		for (size_t p = 0; p < RESULT_PERCENTILES; p++)
			ret->precision[i].percentiles[p] = batches_percentile(
			    batches, ret->latency[i], result_percentiles[p]);
		ret->precision[i].mean_half_ns = batches_mean_half(batches);
	}
	ret->rate_half = batches_ratio_half(sampler->verified, sampler->lengths_s,
	    sampler->batches[LATENCY_RESPONSE].count);
}

/* plan_check has parsed them once. */
static void
collect_thresholds(const struct plan *plan, struct result *ret)
{
	char error[RESULT_ERROR_MAX];
	ret->thresholds = xcalloc(plan->thresholds.count, sizeof(ret->thresholds[0]));
	for (uint32_t i = 0; i < plan->thresholds.count; i++)
		if (threshold_parse(plan->thresholds.items[i],
			&ret->thresholds[ret->threshold_count++].threshold, error,
			sizeof(error)) < 0)
			abort();
}

void
result_collect(const struct plan *plan, const struct counters_map *counters_map,
    const struct sampler *sampler, struct result *ret)
{
	uint64_t start_ns =
	    atomic_load(&counters_map->control_block->start_ns) + plan->warmup_ns;
	struct counters sum;
	counters_sum(counters_map, &sum);
	result_init(ret);
	ret->version = xstrdup(YODEL_VERSION);
	ret->command = xstrdup(plan->command != NULL ? plan->command : "");
	labels_copy(&ret->labels, &plan->labels);
	collect_plan(plan, counters_map, &ret->plan);
	for (uint16_t i = 0; i < plan->conversation.step_name_count; i++)
		result_step_add(ret, plan->conversation.step_names[i]);
	if (plan_expects_whoami(plan))
		servers_add_steps(counters_map, ret);
	ret->processes = xcalloc(counters_map->count, sizeof(ret->processes[0]));
	for (uint32_t i = 0; i < counters_map->count; i++)
		collect_counters(counters_map_at(counters_map, i), start_ns, ret);
	collect_failures(counters_map, ret);
	collect_targets(plan, counters_map, ret);
	if (plan_expects_whoami(plan))
		servers_collect(counters_map, ret);
	tls_result_collect(plan, counters_map, &sum, ret);
	read_counters(&sum, ret);
	collect_lost_steps(&plan->conversation, ret);
	collect_times(plan, counters_map, &sum, sampler, ret);
	collect_ports(plan, sampler, &ret->ports);
	collect_seconds(sampler, ret);
	collect_precision(sampler, ret);
	collect_host(sampler, &ret->host);
	collect_thresholds(plan, ret);
	result_fill_single_target(ret);
	client_delay_collect(counters_map, ret);
	verdict_evaluate(ret);
}
