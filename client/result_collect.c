#include <sys/resource.h>
#include <sys/utsname.h>

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/printable.h"

#include "client/result.h"
#include "client/result_lost.h"
#include "client/result_target.h"
#include "client/source.h"
#include "client/watch.h"

#define MESSAGE_TEXT_MAX 256
#define SHOWN_TEXT_MAX 200 /* of what was given on the command line */

static uint64_t
monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

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
add_messages(struct result_messages *to, const struct tally_messages *from)
{
	to->sent += tally_get(&from->sent);
	to->verified += tally_get(&from->verified);
	to->wrong += tally_get(&from->wrong);
	to->in_flight += tally_get(&from->in_flight);
	for (int i = 0; i < TALLY_LOSS_COUNT; i++)
		to->lost[i] += tally_get(&from->lost[i]);
}

static void
add_connections(struct result_connections *to, const struct tally *from)
{
	to->requested += from->connections;
	to->attempted += tally_get(&from->connections_attempted);
	to->established += tally_get(&from->connections_established);
	to->reconnects += tally_get(&from->reconnects);
	to->lost += tally_get(&from->connections_lost);
	to->reset += tally_get(&from->connections_reset);
	to->first += tally_get(&from->connections_first);
	for (int i = 0; i < TALLY_CONNECT_FAILURE_COUNT; i++)
		to->failed[i] += tally_get(&from->connections_failed[i]);
}

static void
collect_process(const struct tally *tally, struct result *ret)
{
	struct result_process *process = &ret->processes[ret->process_count++];
	uint64_t started = tally_get(&tally->started_ns);
	uint64_t stopped = tally_get(&tally->stopped_ns);

	process->process = tally->process;
	process->pid = (uint64_t)atomic_load(&tally->pid);
	process->connections = tally->connections;
	process->sent = tally_get(&tally->messages.sent);
	process->verified = tally_get(&tally->messages.verified);
	process->cpu_user_s = (double)tally_get(&tally->cpu_user_ns) / 1e9;
	process->cpu_sys_s = (double)tally_get(&tally->cpu_system_ns) / 1e9;
	process->loop_lag_max_ns = tally_get(&tally->loop_lag_max_ns);
	process->died = atomic_load(&tally->phase) == TALLY_DIED;
	if (stopped == 0)
		stopped = monotonic_ns();
	if (started != 0 && stopped > started)
		process->cpu_share = (process->cpu_user_s + process->cpu_sys_s) /
		    ((double)(stopped - started) / 1e9);
	ret->host.cpu_user_s += process->cpu_user_s;
	ret->host.cpu_sys_s += process->cpu_sys_s;
	ret->host.retransmits += tally_get(&tally->retransmits);
}

static int
collect_mismatches(const struct tally *tally, struct result *ret)
{
	uint32_t count = atomic_load_explicit(&tally->mismatches, memory_order_acquire);

	if (count > TALLY_MISMATCHES_MAX)
		count = TALLY_MISMATCHES_MAX;
	if (count > RESULT_MISMATCHES_MAX - ret->mismatch_count)
		count = (uint32_t)(RESULT_MISMATCHES_MAX - ret->mismatch_count);
	if (count == 0)
		return 0;
	if (ret->mismatches == NULL)
		ret->mismatches =
		    calloc(RESULT_MISMATCHES_MAX, sizeof(ret->mismatches[0]));
	if (ret->mismatches == NULL)
		return -1;
	memcpy(ret->mismatches + ret->mismatch_count, tally->mismatch,
	    count * sizeof(tally->mismatch[0]));
	ret->mismatch_count += count;
	return 0;
}

static int
collect_tally(const struct tally *tally, struct result *ret)
{
	uint64_t oldest = tally_get(&tally->oldest_lost_ns);

	add_connections(&ret->connections, tally);
	add_messages(&ret->messages, &tally->messages);
	add_messages(&ret->warmup, &tally->warmup);
	ret->messages_due += tally_get(&tally->messages_due);
	ret->messages_late += tally_get(&tally->messages_late);
	ret->bytes_sent += tally_get(&tally->bytes_sent);
	ret->bytes_received += tally_get(&tally->bytes_received);
	ret->bytes_surplus += tally_get(&tally->bytes_surplus);
	if (oldest > ret->oldest_lost_ns)
		ret->oldest_lost_ns = oldest;
	for (int i = 0; i < TALLY_HISTOGRAM_COUNT; i++)
		if (histogram_add(ret->latency[i], tally->histograms[i]) < 0)
			return -1;
	collect_process(tally, ret);
	return collect_mismatches(tally, ret);
}

/* The measured part ends with the last message sent or answered, not with the patience
 * for those that never were. */
static uint64_t
end_of(const struct plan *plan, const struct tallies *tallies)
{
	uint64_t last_stop = 0, last_answer = 0;
	bool runs = false;

	for (uint32_t i = 0; i < tallies->count; i++) {
		const struct tally *tally = tallies_at(tallies, i);
		uint64_t stopped = tally_get(&tally->stopped_ns);
		uint64_t answered = tally_get(&tally->last_answer_ns);

		runs = runs ||
		    (stopped == 0 && atomic_load(&tally->phase) < TALLY_FINISHED);
		last_stop = stopped > last_stop ? stopped : last_stop;
		last_answer = answered > last_answer ? answered : last_answer;
	}
	if (runs)
		return monotonic_ns();
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
collect_times(const struct plan *plan, const struct tallies *tallies,
    const struct watch *watch, struct result *ret)
{
	uint64_t start = atomic_load(&tallies->board->start_ns), connected = 0;
	uint64_t end = end_of(plan, tallies);

	for (uint32_t i = 0; i < tallies->count; i++) {
		const struct tally *tally = tallies_at(tallies, i);

		if (tally_get(&tally->connected_ns) > connected)
			connected = tally_get(&tally->connected_ns);
	}
	ret->started_at_ns = tallies->board->started_at_ns + plan->warmup_ns;
	if (start != 0 && end > start + plan->warmup_ns)
		ret->elapsed_s = (double)(end - start - plan->warmup_ns) / 1e9;
	if (ret->elapsed_s > 0)
		ret->messages_per_s = (double)ret->messages.verified / ret->elapsed_s;
	if (connected == 0)
		connected = end;
	if (watch != NULL)
		ret->connections_per_s = (double)ret->connections.established /
		    calling_s(ret, watch->began_ns, connected, start, end);
}

static int
collect_host(const struct watch *watch, struct result_host *ret)
{
	struct rusage children;
	struct watch_kernel kernel;
	struct utsname name;
	cpu_set_t cpus;

	if (uname(&name) != 0)
		return -1;
	ret->hostname = strdup(name.nodename);
	ret->kernel = strdup(name.release);
	if (ret->hostname == NULL || ret->kernel == NULL)
		return -1;
	if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
		ret->cpus = (uint64_t)CPU_COUNT(&cpus);
	if (getrusage(RUSAGE_CHILDREN, &children) == 0)
		ret->memory_bytes = (uint64_t)children.ru_maxrss * 1024;
	if (watch == NULL)
		return 0;
	watch_read_kernel(&kernel);
	ret->host_retransmits = kernel.retransmits - watch->kernel.retransmits;
	ret->listen_overflows =
	    kernel.listen_overflows - watch->kernel.listen_overflows;
	ret->listen_drops = kernel.listen_drops - watch->kernel.listen_drops;
	return 0;
}

static void
collect_ports(
    const struct plan *plan, const struct watch *watch, struct result_ports *ret)
{
	uint64_t sources = plan->source_count > 0 ? plan->source_count : 1;

	if (watch == NULL)
		return;
	ret->available = source_ports() * sources * plan->target_count;
	ret->held_max = watch->ports_held_max;
	ret->time_wait_before = watch->time_wait_before;
	ret->time_wait_max = watch->time_wait_max;
}

static int
collect_seconds(const struct watch *watch, struct result *ret)
{
	if (watch == NULL)
		return 0;
	ret->interrupted = watch->interrupted;
	if (watch->count == 0)
		return 0;
	ret->seconds = calloc(watch->count, sizeof(ret->seconds[0]));
	if (ret->seconds == NULL)
		return -1;
	memcpy(ret->seconds, watch->rows, watch->count * sizeof(ret->seconds[0]));
	ret->second_count = watch->count;
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
collect_all(const struct plan *plan, const struct tallies *tallies,
    const struct watch *watch, const char *ledger, struct result *ret)
{
	if (collect_plan(plan, &ret->plan) < 0)
		return -1;
	ret->processes = calloc(tallies->count, sizeof(ret->processes[0]));
	if (ret->processes == NULL)
		return -1;
	for (uint32_t i = 0; i < tallies->count; i++)
		if (collect_tally(tallies_at(tallies, i), ret) < 0)
			return -1;
	if (result_target_collect(plan, tallies, ret) < 0 ||
	    result_lost_collect(tallies, ret) < 0)
		return -1;
	collect_times(plan, tallies, watch, ret);
	collect_ports(plan, watch, &ret->ports);
	if (ledger != NULL && (ret->ledger = strdup(ledger)) == NULL)
		return -1;
	if (collect_host(watch, &ret->host) < 0 || collect_seconds(watch, ret) < 0 ||
	    collect_thresholds(plan, ret) < 0)
		return -1;
	return result_judge(ret);
}

int
result_collect(const struct plan *plan, const struct tallies *tallies,
    const struct watch *watch, const char *ledger, struct result *ret)
{
	if (result_init(ret) < 0)
		return -1;
	if (collect_all(plan, tallies, watch, ledger, ret) < 0) {
		result_finish(ret);
		return -1;
	}
	return 0;
}
