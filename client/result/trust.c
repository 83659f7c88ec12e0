#include "client/result/trust.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/stats/percentile_interval.h"
#include "lib/units.h"

/* A busier load process has no reserve when many answers arrive at once. */
#define CPU_SUSPECT 0.80
#define CPU_INVALID 0.95
/* The kernel counts CPU time in ticks: shorter runs have no meaningful share. */
#define CPU_SECONDS_MIN 1.0
/* Minimum share of the due messages that were sent, of the connections established. */
#define RATE_INVALID 0.95
#define CONNECTIONS_INVALID 0.90
/* Lag below this part of the response is noise. */
#define LAG_PART 0.10
/* The percentiles hide a stall of whole seconds if they are below this part of it. */
#define STALL_PART 0.5
#define LAG_SUSPECT_NS 1e6
#define LAG_INVALID_NS 10e6
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

/* A busy load process sends late if the load is paced; otherwise it, and not the
 * server, may limit the rate. With --spin it is always busy. */
static void
check_cpu(struct result *result)
{
	struct result_trust *trust = &result->trust;
	const struct result_process *busiest = NULL;
	for (size_t i = 0; i < result->process_count; i++) {
		const struct result_process *process = &result->processes[i];
		if (process->died)
			result_trust_add(trust, RESULT_INVALID,
			    "load process %llu died before the end of the run",
			    (unsigned long long)process->process);
		if (busiest == NULL || process->cpu_share > busiest->cpu_share)
			busiest = process;
	}
	if (busiest == NULL || result->elapsed_s < CPU_SECONDS_MIN ||
	    result->plan.spin_ns > 0 || busiest->cpu_share < CPU_SUSPECT)
		return;
	bool saturated = busiest->cpu_share >= CPU_INVALID;
	if (is_paced(result))
		result_trust_add(trust, saturated ? RESULT_INVALID : RESULT_SUSPECT,
		    "load process %llu used %.0f %% of a CPU, expected below %.0f %%; fix: more load processes (-w) or CPUs",
		    (unsigned long long)busiest->process, 100 * busiest->cpu_share,
		    100 * CPU_SUSPECT);
	else if (saturated)
		result_trust_add(trust, RESULT_SUSPECT,
		    "load process %llu used %.0f %% of a CPU: the client may limit the rate",
		    (unsigned long long)busiest->process, 100 * busiest->cpu_share);
}

/* Reports a lag that is large relative to the 99th percentile of the response. */
static void
check_lag(struct result *result, enum latency_kind which, const char *what)
{
	const struct histogram *lag = result->latency[which];
	uint64_t p99 = histogram_percentile(lag, 99);
	uint64_t response = histogram_percentile(result->latency[LATENCY_RESPONSE], 99);
	char text[UNITS_TEXT_MAX], whole[UNITS_TEXT_MAX];
	if (!percentile_interval_of(lag, 99, 0).known ||
	    (double)p99 < fmax(LAG_SUSPECT_NS, LAG_PART * (double)response))
		return;
	result_trust_add(&result->trust,
	    (double)p99 < LAG_INVALID_NS ? RESULT_SUSPECT : RESULT_INVALID,
	    "this client %s late (%s at p99), which affects the measured response (%s at p99)",
	    what, units_show_duration(p99, text), units_show_duration(response, whole));
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
	if (host->retransmits > 1 &&
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
	for (int i = 0; i < LATENCY_KIND_COUNT; i++)
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

/* Length in seconds of the longest time without an answer on open connections, counted
 * in whole seconds; *ret_from: when it began. */
static double
longest_silence(const struct result *result, double *ret_from)
{
	double longest = 0, now = 0;
	for (size_t i = 0; i < result->second_count; i++) {
		const struct sampler_second *second = &result->seconds[i];
		if (second->verified + second->wrong > 0 ||
		    second->connections_open == 0 || !sampler_second_is_whole(second)) {
			now = 0;
			continue;
		}
		now += second->length_s;
		if (now > longest) {
			longest = now;
			*ret_from = second->at_s + second->length_s - now;
		}
	}
	return longest;
}

/* A closed loop sends nothing during a stall: it measures one slow message for each
 * connection, where a fixed rate would have measured a thousand. */
static void
check_silence(struct result *result)
{
	const struct histogram *response = result->latency[LATENCY_RESPONSE];
	double p99 = (double)histogram_percentile(response, 99), from = 0;
	double silent_ns = longest_silence(result, &from) * 1e9;
	char text[UNITS_TEXT_MAX], when[UNITS_TEXT_MAX];
	if (is_paced(result) || histogram_count(response) == 0 ||
	    p99 > silent_ns * STALL_PART)
		return;
	result_trust_add(&result->trust, RESULT_SUSPECT,
	    "no answer arrived for at least %s, beginning %s after the start: a closed loop sends nothing meanwhile, so the percentiles hardly show it; fix: --rate",
	    units_show_duration(result_whole(silent_ns), text),
	    units_show_duration(result_whole(from * 1e9), when));
}

static void
check_load(struct result *result)
{
	check_cpu(result);
	check_rate(result);
	check_silence(result);
	check_lag(result, LATENCY_LOOP_LAG, "woke up");
	if (is_paced(result))
		check_lag(result, LATENCY_SEND_LAG, "sent");
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
