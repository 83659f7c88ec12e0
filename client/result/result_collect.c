#include <sys/resource.h>
#include <sys/utsname.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/printable.h"
#include "lib/resources.h"
#include "lib/stats/percentile_interval.h"
#include "lib/units.h"
#include "lib/version.h"
#include "lib/xmalloc.h"
#include "net/connect.h"
#include "client/measure/sampler.h"
#include "client/plan/source_address.h"
#include "client/result/client_delay.h"
#include "client/result/result.h"
#include "client/result/servers.h"
#include "client/result/tls_result.h"
#include "client/result/verdict.h"

#define SHOWN_TEXT_MAX 200 /* bytes of a command line operand */

/* Describes what is sent. */
static char *
message_text(const struct plan *plan)
{
	unsigned long long min = plan->size_min, max = plan->size_max;
	const char *given = plan->file != NULL ? plan->file
	    : plan->texts.count > 0            ? plan->texts.items[0]
					       : "";
	char shown[SHOWN_TEXT_MAX];
	if (plan->conversation_file != NULL)
		given = plan->conversation_file;
	printable_escape(given, shown, sizeof(shown));
	if (plan->conversation_file != NULL)
		return xasprintf("conversation %s", shown);
	if (plan->payload && min == max)
		return xasprintf("seeded payload of %llu bytes", min);
	if (plan->payload)
		return xasprintf("seeded payload of %llu to %llu bytes", min, max);
	if (plan->file != NULL && strcmp(plan->file, "-") == 0)
		return xstrdup("lines of stdin");
	if (plan->file != NULL)
		return xasprintf("file %s", shown);
	if (plan->texts.count == 0)
		return xstrdup("the three default messages");
	if (plan->texts.count == 1)
		return xasprintf("\"%s\"", shown);
	return xasprintf("%u messages, \"%s\" first", plan->texts.count, shown);
}

/* Says what the default messages cannot show. */
static char *
plan_message_text(const struct plan *plan)
{
	char *text = message_text(plan);
	bool is_default = !plan->payload && plan->file == NULL &&
	    plan->texts.count == 0 && plan->conversation_file == NULL;
	if (!is_default || plan->connections < 2)
		return text;
	char *all = xasprintf(
	    "%s, the same on all connections (answers to another connection are not noticed; see --size)",
	    text);
	free(text);
	return all;
}

/* The texts with commas between them; heap. */
static char *
join(const struct option_list *texts)
{
	char *all = xstrdup("");
	for (uint32_t i = 0; i < texts->count; i++) {
		char *longer =
		    xasprintf("%s%s%s", all, i == 0 ? "" : ",", texts->items[i]);
		free(all);
		all = longer;
	}
	return all;
}

static void
collect_plan(const struct plan *plan, struct result_plan *ret)
{
	ret->targets = xcalloc(plan->target_count, sizeof(ret->targets[0]));
	for (uint32_t i = 0; i < plan->target_count; i++)
		ret->targets[ret->target_count++] = xstrdup(plan->targets[i].text);
	ret->load = xstrdup(plan_load_names[plan->load]);
	ret->message = plan_message_text(plan);
	ret->conversation =
	    xstrdup(plan->conversation_file != NULL ? plan->conversation_file : "");
	ret->conversation_digest = plan->conversation_file == NULL
	    ? xstrdup("")
	    : xasprintf("%016llx", (unsigned long long)plan->conversation.digest);
	ret->expect = xstrdup(plan->expect_text != NULL ? plan->expect_text : "auto");
	ret->framing = xstrdup(framing_names[plan->framing]);
	ret->arrivals = xstrdup(plan_arrivals_names[plan->arrivals]);
	ret->close = xstrdup(plan_close_names[plan->close]);
	char options[SOCKET_OPTIONS_TEXT_MAX];
	ret->socket_options =
	    xstrdup(socket_options_format(&plan->sockets, -1, options));
	ret->proxy_protocol = xstrdup(plan_proxy_names[plan->proxy_version]);
	ret->proxy_source =
	    xstrdup(plan->proxy_source_text != NULL ? plan->proxy_source_text : "");
	ret->proxy_tlvs = join(&plan->proxy_tlv_texts);
	ret->tls_verification =
	    xstrdup(plan->tls_verification != NULL ? plan->tls_verification : "");
	ret->seed = plan->seed;
	ret->rate = plan->rate_all;
	ret->connect_rate = plan->connect_rate_all;
#define X(name, how) ret->name = plan->name;
	RESULT_PLAN_COUNTS(X) RESULT_PLAN_FLAGS(X)
#undef X
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

/* Number of records to take: those of a process, and those that still fit. */
static size_t
record_count(const _Atomic uint32_t *records, size_t process_max, size_t room)
{
	size_t count = atomic_load_explicit(records, memory_order_acquire);
	count = count < process_max ? count : process_max;
	return count < room ? count : room;
}

static void
collect_mismatches(const struct counters *counters, struct result *ret)
{
	size_t count = record_count(&counters->mismatches, COUNTERS_MISMATCHES_MAX,
	    RESULT_MISMATCHES_MAX - ret->mismatch_count);
	if (count > 0 && ret->mismatches == NULL)
		ret->mismatches =
		    xcalloc(RESULT_MISMATCHES_MAX, sizeof(ret->mismatches[0]));
	for (size_t i = 0; i < count; i++)
		ret->mismatches[ret->mismatch_count++] = counters->mismatch[i];
}

static void
collect_findings(const struct counters *counters, struct result *ret)
{
	const struct findings *from = counters->findings;
	if (from == NULL)
		return;
	size_t count = record_count(&from->count, FINDINGS_MAX, FINDINGS_MAX);
	if (from->clients.address_count > 0) {
		if (ret->clients == NULL)
			ret->clients = xcalloc(1, sizeof(*ret->clients));
		findings_merge_clients(ret->clients, &from->clients);
	}
	ret->findings_missed += atomic_load(&from->missed);
	if (count == 0)
		return;
	ret->findings = xreallocarray(
	    ret->findings, ret->finding_count + count, sizeof(ret->findings[0]));
	memcpy(ret->findings + ret->finding_count, from->list,
	    count * sizeof(ret->findings[0]));
	ret->finding_count += count;
}

/* As text in the document. */
static struct result_outage
outage_of(const struct outage *from, uint64_t clock_offset_ns)
{
	return (struct result_outage){
		.connection = from->connection,
		.begin_ns = from->begin_ns + clock_offset_ns,
		.length_ns = from->end_ns - from->begin_ns,
		.end = xstrdup(outages_end_names[from->end]),
	};
}

static void
count_outage(const struct outage *outage, struct result_hold *hold)
{
	hold->lost += outage->end == OUTAGE_LOST;
	hold->open += outage->end == OUTAGE_OPEN;
	hold->other_server += outage->end == OUTAGE_OTHER_SERVER;
	hold->reconnected +=
	    outage->end == OUTAGE_RECONNECTED || outage->end == OUTAGE_OTHER_SERVER;
}

static int
by_connection(const void *a, const void *b)
{
	const struct outage *x = a, *y = b;
	if (x->connection != y->connection)
		return x->connection < y->connection ? -1 : 1;
	return (x->begin_ns > y->begin_ns) - (x->begin_ns < y->begin_ns);
}

static void
collect_outages(const struct counters *counters, struct result *ret)
{
	const struct outages *from = counters->outages;
	struct result_hold *hold = &ret->hold;
	if (from == NULL)
		return;
	size_t count = record_count(&from->count, from->room, from->room);
	uint64_t missed = atomic_load(&from->missed),
		 offset = clock_realtime_offset_ns();
	struct outage *sorted = xcalloc(count + 1, sizeof(*sorted));
	memcpy(sorted, from->list, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), by_connection);
	ret->outages = xreallocarray(
	    ret->outages, ret->outage_count + count + 1, sizeof(*ret->outages));
	hold->periods += count + missed;
	hold->unlisted += missed;
	uint64_t own_max_ns = atomic_load(&from->own_max_ns);
	hold->inexact += atomic_load(&from->inexact);
	hold->doubtful += atomic_load(&from->doubtful);
	if (own_max_ns > hold->own_max_ns)
		hold->own_max_ns = own_max_ns;
	for (size_t i = 0; i < count; i++) {
		hold->connections +=
		    i == 0 || sorted[i].connection != sorted[i - 1].connection;
		count_outage(&sorted[i], hold);
		if (ret->outage_count < RESULT_OUTAGES_MAX)
			ret->outages[ret->outage_count++] =
			    outage_of(&sorted[i], offset);
		else
			hold->unlisted++;
	}
	free(sorted);
}

/* Of a failed connect; "" for 0. */
static char *
error_text(const struct address *address, int error)
{
	if (error == COUNTERS_ERROR_TLS)
		return xstrdup("the TLS handshake failed");
	return xstrdup(error != 0 ? connect_error_text(address, error) : "");
}

/* A CLOCK_MONOTONIC time as time of day. */
static char *
format_monotonic(uint64_t ns)
{
	char time[UNITS_TEXT_MAX];
	return xstrdup(units_format_time(ns + clock_realtime_offset_ns(), 3, time));
}

static void
collect_lost_connections(const struct counters *counters, struct result *ret)
{
	size_t count = record_count(&counters->lost_connections, COUNTERS_LOST_MAX,
	    RESULT_LOST_MAX - ret->lost_connection_count);
	if (count > 0 && ret->lost_connections == NULL)
		ret->lost_connections =
		    xcalloc(RESULT_LOST_MAX, sizeof(ret->lost_connections[0]));
	for (size_t i = 0; i < count; i++) {
		const struct counters_lost_connection *from =
		    &counters->lost_connection[i];
		ret->lost_connections[ret->lost_connection_count++] =
		    (struct result_lost_connection){
			    .connection = from->connection,
			    .at = format_monotonic(from->at_ns),
			    .why = xstrdup(counters_loss_names[from->why]),
			    .local = xstrdup(from->local),
			    .remote = xstrdup(from->remote),
			    .messages = from->messages,
			    .message = from->message,
			    .answer_bytes = from->answer_bytes,
			    .answer_length = from->answer_length,
			    .unacknowledged = from->unacknowledged,
			    .waited_ns = from->waited_ns,
			    .silent_ns = from->silent_ns,
			    .line = from->line,
			    .step = xstrdup(from->step),
			    .waiting = xstrdup(from->waiting),
		    };
	}
}

/* Messages and latencies, if there are several targets. */
static void
collect_target_messages(
    const struct counters_map *counters_map, uint32_t index, struct result_target *ret)
{
	struct histogram *response =
	    xmalloc_check(histogram_create(&counters_latency_config));
	for (uint32_t i = 0; i < counters_map->count; i++) {
		const struct counters_target *from =
		    &counters_map_at(counters_map, i)->targets[index];
		ret->verified += counters_get(&from->verified);
		ret->wrong += counters_get(&from->wrong);
		ret->lost += counters_get(&from->lost);
		if (from->response != NULL &&
		    histogram_add(response, from->response) < 0)
			abort(); /* both have counters_latency_config */
	}
	ret->p50_ns = percentile_if_known(response, 50);
	ret->p99_ns = percentile_if_known(response, 99);
	if (counters_map_at(counters_map, 0)->targets[index].response != NULL)
		ret->response = response;
	else
		free(response);
}

/* From the first process that has established a connection. */
static char *
granted_options(const struct plan *plan, const struct counters_map *counters_map)
{
	char out[SOCKET_OPTIONS_TEXT_MAX] = "";
	const struct counters *from = NULL;
	size_t used = 0;
	for (uint32_t i = 0; i < counters_map->count && from == NULL; i++) {
		const struct counters *one = counters_map_at(counters_map, i);
		if (atomic_load_explicit(&one->are_granted_known, memory_order_acquire))
			from = one;
	}
	for (int i = 0; i < SOCKET_OPTION_COUNT && from != NULL; i++) {
		enum socket_option option = (enum socket_option)i;
		if (!socket_option_is_given(&plan->sockets, option))
			continue;
		int n = snprintf(out + used, sizeof(out) - used, "%s%s=%s",
		    used > 0 ? " " : "", socket_option_name(option), from->granted[i]);
		used += (size_t)n < sizeof(out) - used ? (size_t)n : 0;
	}
	return xstrdup(out);
}

static void
collect_targets(const struct plan *plan, const struct counters_map *counters_map,
    struct result *ret)
{
	ret->targets = xcalloc(plan->target_count, sizeof(ret->targets[0]));
	for (uint32_t t = 0; t < plan->target_count; t++) {
		struct result_target *target = &ret->targets[ret->target_count++];
		int error = 0;
		for (uint32_t i = 0; i < counters_map->count; i++) {
			const struct counters_target *from =
			    &counters_map_at(counters_map, i)->targets[t];
			int last = atomic_load_explicit(
			    &from->last_errno, memory_order_relaxed);
			target->established += counters_get(&from->established);
			for (int f = 0; f < CONNECT_FAILURE_COUNT; f++)
				target->failed[f] += counters_get(&from->failed[f]);
			error = last != 0 ? last : error;
		}
		collect_target_messages(counters_map, t, target);
		target->name = xstrdup(plan->targets[t].text);
		target->last_error = error_text(&plan->targets[t].addresses[0], error);
	}
}

static void
collect_address(const struct plan_target *target, uint32_t index, uint32_t which,
    const struct counters_map *counters_map, struct result_address *ret)
{
	char text[ADDRESS_TEXT_MAX];
	int error = 0;
	for (uint32_t i = 0; i < counters_map->count; i++) {
		const struct counters_address *from =
		    &counters_map_at(counters_map, i)->targets[index].addresses[which];
		int last =
		    atomic_load_explicit(&from->last_errno, memory_order_relaxed);
		ret->attempted += counters_get(&from->attempted);
		ret->established += counters_get(&from->established);
		for (int f = 0; f < CONNECT_FAILURE_COUNT; f++)
			ret->failed[f] += counters_get(&from->failed[f]);
		error = last != 0 ? last : error;
	}
	ret->target = xstrdup(target->text);
	ret->address = xstrdup(address_format(&target->addresses[which], text));
	ret->last_error = error_text(&target->addresses[which], error);
}

static void
collect_addresses(const struct plan *plan, const struct counters_map *counters_map,
    struct result *ret)
{
	size_t count = 0;
	for (uint32_t t = 0; t < plan->target_count; t++)
		count += plan->targets[t].address_count;
	ret->addresses = xcalloc(count, sizeof(ret->addresses[0]));
	for (uint32_t t = 0; t < plan->target_count; t++)
		for (uint32_t a = 0; a < plan->targets[t].address_count; a++)
			collect_address(&plan->targets[t], t, a, counters_map,
			    &ret->addresses[ret->address_count++]);
}

/* Adds the losses of one process to those of the others with the same cause. */
static void
add_losses(struct counters_losses *to, const struct counters_losses *from)
{
	uint64_t all = counters_get(&to->connections);
	const struct {
		counters_value *to;
		const counters_value *from;
		bool is_max;
	} extremes[] = {
		{ &to->silent_min_ns, &from->silent_min_ns, false },
		{ &to->silent_max_ns, &from->silent_max_ns, true },
		{ &to->age_min_ns, &from->age_min_ns, false },
		{ &to->age_max_ns, &from->age_max_ns, true },
		{ &to->first_ns, &from->first_ns, false },
		{ &to->last_ns, &from->last_ns, true },
	};
	if (counters_get(&from->connections) == 0)
		return;
	for (size_t i = 0; i < sizeof(extremes) / sizeof(extremes[0]); i++) {
		uint64_t value = counters_get(extremes[i].from);
		uint64_t known = counters_get(extremes[i].to);
		if (all == 0 || (extremes[i].is_max ? value > known : value < known))
			counters_set(extremes[i].to, value);
	}
	counters_add(&to->connections, counters_get(&from->connections));
	counters_add(&to->messages, counters_get(&from->messages));
	counters_add(&to->silent_sum_ns, counters_get(&from->silent_sum_ns));
	counters_add(&to->age_sum_ns, counters_get(&from->age_sum_ns));
}

static void
collect_losses(const struct counters_map *counters_map, struct result *ret)
{
	ret->losses = xcalloc(MESSAGE_LOSS_COUNT * (size_t)2, sizeof(ret->losses[0]));
	for (int cause = 0; cause < MESSAGE_LOSS_COUNT * 2; cause++) {
		int why = cause / 2, busy = cause % 2;
		struct counters_losses sum = { .connections = 0 };
		for (uint32_t i = 0; i < counters_map->count; i++)
			add_losses(
			    &sum, &counters_map_at(counters_map, i)->losses[why][busy]);
		if (sum.connections == 0)
			continue;
		ret->losses[ret->loss_count++] = (struct result_losses){
			.why = xstrdup(counters_loss_names[why]),
			.was_idle = busy == 0,
			.connections = sum.connections,
			.messages = sum.messages,
			.silent_min_ns = sum.silent_min_ns,
			.silent_max_ns = sum.silent_max_ns,
			.age_min_ns = sum.age_min_ns,
			.age_max_ns = sum.age_max_ns,
			.silent_sum_ns = sum.silent_sum_ns,
			.age_sum_ns = sum.age_sum_ns,
			.first_at = format_monotonic(sum.first_ns),
			.last_at = format_monotonic(sum.last_ns),
		};
	}
}

static void
collect_counters(const struct counters *counters, uint64_t start_ns, struct result *ret)
{
	for (int i = 0; i < result_latency_count(ret); i++)
		/* Both have counters_latency_config. */
		if (histogram_add(ret->latency[i], counters->histograms[i]) < 0)
			abort();
	collect_process(counters, start_ns, ret);
	collect_findings(counters, ret);
	collect_outages(counters, ret);
	collect_mismatches(counters, ret);
	collect_lost_connections(counters, ret);
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
	collect_plan(plan, &ret->plan);
	for (uint16_t i = 0; i < plan->conversation.step_name_count; i++)
		result_step_add(ret, plan->conversation.step_names[i]);
	if (plan_expects_whoami(plan))
		servers_add_steps(counters_map, ret);
	ret->processes = xcalloc(counters_map->count, sizeof(ret->processes[0]));
	for (uint32_t i = 0; i < counters_map->count; i++)
		collect_counters(counters_map_at(counters_map, i), start_ns, ret);
	result_lost_connections_sort(ret);
	collect_targets(plan, counters_map, ret);
	ret->plan.socket_options_granted = granted_options(plan, counters_map);
	collect_addresses(plan, counters_map, ret);
	collect_losses(counters_map, ret);
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
