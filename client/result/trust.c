#include "client/result/trust.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/stats/percentile_interval.h"
#include "lib/units.h"
#include "client/measure/outages.h"
#include "client/result/client_delay.h"

/* A busier load process has no reserve when many answers arrive at once. */
#define CPU_SUSPECT 0.80
#define CPU_INVALID 0.95
/* The kernel counts CPU time in ticks: shorter runs have no meaningful share. */
#define CPU_SECONDS_MIN 1.0
/* Minimum share of the due messages that were sent, of the connections established. */
#define RATE_INVALID 0.95
#define CONNECTIONS_INVALID 0.90
/* Lateness of sending at the 99th percentile, if the arrival of answers is not known:
 * noise below this part of the response. */
#define LAG_PART 0.10
#define LAG_SUSPECT_NS 1e6
#define LAG_INVALID_NS 10e6
/* Part of the periods of --hold, and of the messages, above which OUTAGE_EXACT_NS does
 * not hold for 99 % of the periods. */
#define INEXACT_SUSPECT 0.01
/* The percentiles hide a stall if the highest of them is below this part of it. */
#define STALL_PART 0.5
/* A stall of this length is reported; a shorter one if it takes this part of the time
 * of all connections, because then it would show in the 99th percentile of an open
 * loop. */
#define STALL_NS 1e9
#define STALL_SHORT_NS 100e6
#define STALL_SHARE 0.01
/* Part of the run that a load process waited for a CPU or was stopped, or that the
 * hypervisor used, above which the 99th percentile may be distorted. */
#define WAIT_SUSPECT 0.10
#define STEAL_SUSPECT 0.02
/* The kernel hands out ports of one parity first, and then has to search. */
#define PORTS_SUSPECT 0.5
/* Time that ranks may start apart, as a part of the longest rank. */
#define APART_SUSPECT 0.10
#define APART_INVALID 0.50
#define CONNECT_RETRY_NS UINT64_C(900000000) /* a SYN is retransmitted after 1 s */
#define RETRANSMITS_SUSPECT 0.001            /* per message */

static bool
is_paced(const struct result *result)
{
	return result->plan.rate > 0 || result->plan.interval_ns > 0;
}

static void
check_died(struct result *result)
{
	for (size_t i = 0; i < result->process_count; i++)
		if (result->processes[i].died)
			result_trust_add(&result->trust, RESULT_INVALID,
			    "load process %llu died before the end of the run",
			    (unsigned long long)result->processes[i].process);
}

/* Part of the run that a process used or wanted to use a CPU. */
static double
busy_share(const struct result *result, const struct result_process *process)
{
	return process->cpu_share + process->cpu_wait_s / result->elapsed_s;
}

/* A busy load process sends late if the load is paced; otherwise it, and not the
 * server, may limit the rate. With --spin it is always busy. */
static void
check_cpu(struct result *result)
{
	struct result_trust *trust = &result->trust;
	const struct result_process *busiest = result->processes;
	if (result->process_count == 0 || result->elapsed_s < CPU_SECONDS_MIN ||
	    result->plan.spin_ns > 0)
		return;
	for (size_t i = 1; i < result->process_count; i++)
		if (busy_share(result, &result->processes[i]) >
		    busy_share(result, busiest))
			busiest = &result->processes[i];
	double share = busiest->cpu_share;
	if (is_paced(result) && share >= CPU_SUSPECT)
		result_trust_add(trust,
		    share >= CPU_INVALID ? RESULT_INVALID : RESULT_SUSPECT,
		    "load process %llu used %.0f %% of a CPU, expected below %.0f %%; fix: more load processes (-w) or CPUs",
		    (unsigned long long)busiest->process, 100 * share,
		    100 * CPU_SUSPECT);
	else if (!is_paced(result) && busy_share(result, busiest) >= CPU_INVALID)
		result_trust_add(trust, RESULT_SUSPECT,
		    "load process %llu used %.0f %% of a CPU and waited for it %.0f %% of the time: the client may limit the rate",
		    (unsigned long long)busiest->process, 100 * share,
		    100 * busiest->cpu_wait_s / result->elapsed_s);
}

#define CAUSES_SIZE 512

struct causes {
	char text[CAUSES_SIZE];
	size_t length;
};

static void __attribute__((format(printf, 2, 3)))
add_cause(struct causes *causes, const char *format, ...)
{
	size_t room = CAUSES_SIZE - causes->length;
	va_list arguments;
	va_start(arguments, format);
	int n = vsnprintf(causes->text + causes->length, room, format, arguments);
	va_end(arguments);
	causes->length += (size_t)n < room ? (size_t)n : room - 1;
}

static const char *
seconds(double s, char *out)
{
	return units_show_duration(result_whole(s * 1e9), out);
}

/* The load process with the largest sum of both times. */
static const struct result_process *
most_delayed(const struct result *result)
{
	const struct result_process *most = NULL;
	for (size_t i = 0; i < result->process_count; i++) {
		const struct result_process *process = &result->processes[i];
		if (most == NULL ||
		    process->cpu_wait_s + process->not_run_s >
			most->cpu_wait_s + most->not_run_s)
			most = process;
	}
	return most;
}

/* "; load process 0 waited 4.3 s of 6 s for a CPU, of which ..." */
static void
explain_delay(const struct result *result, struct causes *causes)
{
	const struct result_process *process = most_delayed(result);
	const struct result_host *host = &result->host;
	char part[UNITS_TEXT_MAX], whole[UNITS_TEXT_MAX];
	*causes = (struct causes){ .length = 0 };
	if (process == NULL)
		return;
	add_cause(causes, "; in %s, load process %llu ran for %s, had to wait %s",
	    seconds(result->elapsed_s, whole), (unsigned long long)process->process,
	    seconds(process->cpu_user_s + process->cpu_sys_s, part),
	    seconds(process->cpu_wait_s, (char[UNITS_TEXT_MAX]){ 0 }));
	add_cause(causes, " for a CPU");
	if (host->throttled_s > 0)
		add_cause(causes, " (the CPU quota of its control group took %s)",
		    seconds(host->throttled_s, part));
	if (process->not_run_s > 0)
		add_cause(causes, " and was stopped or frozen for %s",
		    seconds(process->not_run_s, part));
	if (host->steal_s > 0)
		add_cause(causes, "; the hypervisor took %s of this machine",
		    seconds(host->steal_s, part));
}

/* "p99.9" for "p999": the name that the report shows. */
static const char *
shown_percentile(const char *name)
{
	for (size_t i = 0; i < RESULT_PERCENTILES; i++)
		if (result_percentiles[i] > 99 &&
		    strcmp(name, result_percentile_names[i]) == 0)
			return result_percentiles[i] > 99.95 ? "p99.99" : "p99.9";
	return name;
}

/* "this client made the response times longer: p50 34 ms (without its delay 5.1 ms)" */
static enum result_verdict
describe_delays(const struct result *result, const char *latency, struct causes *out)
{
	enum result_verdict worst = RESULT_VALID;
	char measured[UNITS_TEXT_MAX], without[UNITS_TEXT_MAX];
	*out = (struct causes){ .length = 0 };
	for (size_t i = 0; i < result->client_delay_count; i++) {
		const struct result_client_delay *row = &result->client_delays[i];
		enum result_verdict verdict = client_delay_verdict(row);
		if (verdict == RESULT_VALID || strcmp(row->latency, latency) != 0)
			continue;
		add_cause(out, "%s%s %s instead of %s", out->length > 0 ? ", " : "",
		    shown_percentile(row->percentile),
		    units_show_duration(row->measured_ns, measured),
		    units_show_duration(row->without_client_ns, without));
		worst = verdict > worst ? verdict : worst;
	}
	return worst;
}

/* Service is a part of response: it is judged if the delay is small in the whole. */
static void
check_client_delay(struct result *result)
{
	static const char *const latencies[] = { "response", "service" };
	struct causes delays, causes;
	for (size_t i = 0; i < sizeof(latencies) / sizeof(latencies[0]); i++) {
		enum result_verdict verdict =
		    describe_delays(result, latencies[i], &delays);
		if (verdict == RESULT_VALID)
			continue;
		explain_delay(result, &causes);
		result_trust_add(&result->trust, verdict,
		    "this client was late, which affects the %s: %s%s", latencies[i],
		    delays.text, causes.text);
		return;
	}
}

/* Without arrival times only the lateness of sending and the causes are known. */
static void
check_unmeasured_delay(struct result *result)
{
	const struct result_process *process = most_delayed(result);
	const struct histogram *lag = result->latency[LATENCY_SEND_LAG];
	double response =
	    (double)histogram_percentile(result->latency[LATENCY_RESPONSE], 99);
	uint64_t p99 = histogram_percentile(lag, 99);
	char text[UNITS_TEXT_MAX];
	struct causes causes;
	if (result->client_delay_count > 0 || process == NULL)
		return;
	explain_delay(result, &causes);
	if (percentile_interval_of(lag, 99, NULL, 0).known &&
	    (double)p99 >= fmax(LAG_SUSPECT_NS, LAG_PART * response))
		result_trust_add(&result->trust,
		    (double)p99 < LAG_INVALID_NS ? RESULT_SUSPECT : RESULT_INVALID,
		    "this client sent late: %s at p99%s",
		    units_show_duration(p99, text), causes.text);
	else if (result->elapsed_s > 0 &&
	    process->cpu_wait_s + process->not_run_s >=
		WAIT_SUSPECT * result->elapsed_s)
		result_trust_add(&result->trust, RESULT_SUSPECT,
		    "this client did not get the CPU time that it needed%s",
		    causes.text);
}

/* The outages are absolute times, to OUTAGE_EXACT_NS; beside them the client's lateness
 * is too small a part of the response for check_client_delay(). */
static void
check_outages(struct result *result)
{
	const struct result_hold *hold = &result->hold;
	const struct histogram *lag = result->latency[LATENCY_SEND_LAG];
	uint64_t p99 = histogram_percentile(lag, 99);
	char count[UNITS_TEXT_MAX], all[UNITS_TEXT_MAX], text[UNITS_TEXT_MAX],
	    exact[UNITS_TEXT_MAX];
	struct causes causes;
	if (result->plan.hold_ns == 0)
		return;
	units_show_duration(OUTAGE_EXACT_NS, exact);
	explain_delay(result, &causes);
	if (hold->doubtful > 0 ||
	    (double)hold->inexact > INEXACT_SUSPECT * (double)hold->periods)
		result_trust_add(&result->trust, RESULT_SUSPECT,
		    "this client was late, which affects the outages: %s of %s are uncertain by more than %s (up to %s)%s%s%s",
		    units_show_count(hold->inexact, count),
		    units_show_count(hold->periods, all), exact,
		    units_show_duration(hold->own_max_ns, text),
		    hold->doubtful > 0 ? ", and may not have been longer than --hold: "
				       : "",
		    hold->doubtful > 0
			? units_show_count(hold->doubtful, (char[UNITS_TEXT_MAX]){ 0 })
			: "",
		    causes.text);
	else if (percentile_interval_is_known(99, histogram_count(lag)) &&
	    p99 > OUTAGE_EXACT_NS)
		result_trust_add(&result->trust, RESULT_SUSPECT,
		    "this client was late, which affects the outages: it sent %s late at p99, expected at most %s%s",
		    units_show_duration(p99, text), exact, causes.text);
}

static void
check_steal(struct result *result)
{
	const struct result_host *host = &result->host;
	double whole = result->elapsed_s * (double)host->cpus;
	if (whole > 0 && host->steal_s >= STEAL_SUSPECT * whole)
		result_trust_add(&result->trust, RESULT_SUSPECT,
		    "the hypervisor took %.1f %% of the CPU time of this machine (steal), which delays sending and receiving; fix: a machine of its own",
		    100 * host->steal_s / whole);
}

static void
check_rate(struct result *result)
{
	char due[UNITS_TEXT_MAX], sent[UNITS_TEXT_MAX];
	if (!is_paced(result) || result->interrupted ||
	    result->messages.sent >= result->messages_due)
		return;
	double part = (double)result->messages.sent / (double)result->messages_due;
	result_trust_add(&result->trust,
	    part < RATE_INVALID ? RESULT_INVALID : RESULT_SUSPECT,
	    "%s messages were due, but only %s were sent (%.1f %%): the others would have been the slowest and are in no percentile",
	    units_show_count(result->messages_due, due),
	    units_show_count(result->messages.sent, sent), 100 * part);
}

static void
check_connections(struct result *result)
{
	const struct result_connections *connections = &result->connections;
	char requested[UNITS_TEXT_MAX], made[UNITS_TEXT_MAX];
	if (connections->first >= connections->requested)
		return;
	double part = (double)connections->first / (double)connections->requested;
	result_trust_add(&result->trust,
	    part < CONNECTIONS_INVALID ? RESULT_INVALID : RESULT_SUSPECT,
	    "only %s of %s connections were established",
	    units_show_count(connections->first, made),
	    units_show_count(connections->requested, requested));
}

static void
check_ports(struct result *result)
{
	const struct result_ports *ports = &result->ports;
	char held[UNITS_TEXT_MAX], all[UNITS_TEXT_MAX];
	if (ports->available == 0 ||
	    (double)ports->held_max <= PORTS_SUSPECT * (double)ports->available)
		return;
	result_trust_add(&result->trust, RESULT_SUSPECT,
	    "%s of %s local ports were in use at one time: connect times include the kernel's search for a free port; fix: more source addresses (--source-ip) or --close rst",
	    units_show_count(ports->held_max, held),
	    units_show_count(ports->available, all));
}

/* The overflow counter covers all listeners of this machine. If it concerns this run, a
 * connect failed or was repeated after a second, or a segment was retransmitted. */
static bool
may_have_been_dropped(const struct result *result)
{
	return result->host.retransmits > 0 ||
	    result_failed(result->connections.failed) > 0 ||
	    histogram_max(result->latency[LATENCY_CONNECT]) >= CONNECT_RETRY_NS;
}

static void
check_kernel(struct result *result)
{
	const struct result_host *host = &result->host;
	char text[UNITS_TEXT_MAX];
	/* Outages are what --hold is there to observe. */
	if (result->plan.hold_ns == 0 && host->retransmits > 1 &&
	    (double)host->retransmits >
		RETRANSMITS_SUSPECT * (double)result->messages.sent)
		result_trust_add(&result->trust, RESULT_SUSPECT,
		    "%s TCP retransmits on these connections: packets were lost",
		    units_show_count(host->retransmits, text));
	if (host->listen_overflows > 0 && may_have_been_dropped(result))
		result_trust_add(&result->trust, RESULT_SUSPECT,
		    "an accept queue on this machine overflowed %s times: connect times include retries",
		    units_show_count(host->listen_overflows, text));
}

static void
check_counts(struct result *result)
{
	char text[UNITS_TEXT_MAX];
	uint64_t dropped = 0;
	for (int i = 0; i < result_latency_count(result); i++)
		dropped += histogram_dropped(result->latency[i]);
	if (dropped > 0)
		result_trust_add(&result->trust, RESULT_SUSPECT,
		    "latencies over one hour are in no figure: %s",
		    units_show_count(dropped, text));
	if (!result_adds_up(&result->messages))
		result_trust_add(&result->trust, RESULT_INVALID,
		    "the counts do not balance: sent is not verified + wrong + lost + in flight");
	if (result->interrupted)
		result_trust_add(&result->trust, RESULT_SUSPECT,
		    "the run was interrupted before its planned end");
}

/* A stream has no message boundaries: if a message arrives in two reads, or two in one,
 * a correct server adds its text once per read, and the answers look wrong. */
static void
check_stream(struct result *result)
{
	const struct result_plan *plan = &result->plan;
	if (plan->framing != NULL && strcmp(plan->framing, "stream") == 0 &&
	    plan->expect != NULL &&
	    (strstr(plan->expect, ",suffix=") != NULL ||
		strncmp(plan->expect, "fixed=", strlen("fixed=")) == 0) &&
	    result->messages.wrong + result_lost(&result->messages) +
		    result->bytes_unexpected >
		0)
		result_trust_add(&result->trust, RESULT_SUSPECT,
		    "in framing stream the server adds a suffix or fixed text to each read, not to each message: wrong or lost messages may come from that; fix: --framing line or length32");
}

/* Ranks that ran one after the other did not load the server together. */
static void
check_overlap(struct result *result)
{
	char all[UNITS_TEXT_MAX], each[UNITS_TEXT_MAX];
	double longest = 0;
	for (size_t i = 0; i < result->rank_count; i++)
		longest = fmax(longest, result->ranks[i].elapsed_s);
	double apart = longest > 0 ? result->elapsed_s / longest - 1 : 0;
	if (result->plan.duration_ns == 0 || apart < APART_SUSPECT)
		return;
	result_trust_add(&result->trust,
	    apart < APART_INVALID ? RESULT_SUSPECT : RESULT_INVALID,
	    "the ranks did not run at the same time: %s from the first start to the last end, the longest rank ran %s; fix: --start-at",
	    units_show_duration(result_whole(result->elapsed_s * 1e9), all),
	    units_show_duration(result_whole(longest * 1e9), each));
}

/* Each rank was judged by its own load and CPUs: the worst verdict counts. */
static void
check_ranks(struct result *result)
{
	struct result_trust *trust = &result->trust;
	for (size_t i = 0; i < result->rank_count; i++) {
		const struct result_rank *rank = &result->ranks[i];
		for (int v = RESULT_SUSPECT; v <= RESULT_INVALID; v++)
			if (strcmp(rank->verdict, result_verdict_names[v]) == 0)
				result_trust_add(trust, (enum result_verdict)v,
				    "rank %llu (%s) is %s: %s",
				    (unsigned long long)rank->rank, rank->hostname,
				    rank->verdict, rank->reasons);
	}
	if (result->rank_count < result->plan.ranks)
		result_trust_add(trust, RESULT_INVALID,
		    "only %zu of %llu ranks are present", result->rank_count,
		    (unsigned long long)result->plan.ranks);
	check_overlap(result);
}

/* The highest percentile that has enough samples, at least the 99th. */
static double
highest_known(const struct result *result)
{
	const struct histogram *response = result->latency[LATENCY_RESPONSE];
	double highest = 99;
	for (size_t i = 0; i < RESULT_PERCENTILES; i++)
		if (result_percentiles[i] > highest &&
		    result_percentile(result, LATENCY_RESPONSE, result_percentiles[i])
			.known)
			highest = result_percentiles[i];
	return (double)histogram_percentile(response, highest);
}

/* Connections whose longest silence was at least so long. */
static uint64_t
count_silent(const struct result *result, double ns)
{
	const struct histogram *silence = result->latency[LATENCY_SILENCE];
	struct histogram_cursor cursor = { 0 };
	uint64_t max = histogram_max(silence), silent = 0;
	while (histogram_next(silence, &cursor)) {
		uint64_t value = histogram_highest_equivalent(silence, cursor.value);
		if (fmin((double)value, (double)max) >= ns)
			silent += cursor.count;
	}
	return silent;
}

static const struct result_process *
longest_silence(const struct result *result)
{
	const struct result_process *longest = NULL;
	for (size_t i = 0; i < result->process_count; i++)
		if (longest == NULL ||
		    result->processes[i].silence_max_ns > longest->silence_max_ns)
			longest = &result->processes[i];
	return longest;
}

/* A connection in a closed loop sends nothing during a stall: it measures one slow
 * message, where a fixed rate would have measured a thousand. */
static void
check_silence(struct result *result)
{
	const struct result_process *process = longest_silence(result);
	double longest = (double)histogram_max(result->latency[LATENCY_SILENCE]);
	double connections = (double)result->connections.requested;
	char silent[UNITS_TEXT_MAX], all[UNITS_TEXT_MAX], text[UNITS_TEXT_MAX],
	    when[UNITS_TEXT_MAX];
	if (is_paced(result) || process == NULL || longest < STALL_SHORT_NS ||
	    histogram_count(result->latency[LATENCY_RESPONSE]) == 0 ||
	    highest_known(result) > longest * STALL_PART)
		return;
	uint64_t count = count_silent(result, longest * STALL_PART);
	double share =
	    (double)count * longest / (connections * result->elapsed_s * 1e9);
	if (longest < STALL_NS && share < STALL_SHARE)
		return;
	result_trust_add(&result->trust, RESULT_SUSPECT,
	    "%s of %s connections got no answer for %s, beginning %s after the start: a closed loop sends nothing on them meanwhile, so the percentiles hardly show it; fix: --rate",
	    units_show_count(count, silent),
	    units_show_count(result->connections.requested, all),
	    units_show_duration(result_whole(longest), text),
	    seconds(process->silence_from_s, when));
}

static void
check_load(struct result *result)
{
	check_died(result);
	check_client_delay(result);
	check_unmeasured_delay(result);
	check_outages(result);
	check_cpu(result);
	check_steal(result);
	check_rate(result);
	check_silence(result);
	check_kernel(result);
	check_ports(result);
}

void
trust_evaluate(struct result *result)
{
	result_trust_clear(&result->trust);
	if (result->rank_count > 0)
		check_ranks(result);
	else
		check_load(result);
	check_connections(result);
	check_counts(result);
	check_stream(result);
}
