#include "client/result/trust.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/stats/percentile_interval.h"
#include "lib/units.h"

/* A generator busier than this has no slack left when many answers come at once. */
#define CPU_SUSPECT 0.80
#define CPU_INVALID 0.95
/* CPU is charged in ticks: a share of less than this time means nothing. */
#define CPU_SECONDS_MIN 1.0
/* Of the messages whose time has come, so many must have been sent at least. */
#define RATE_INVALID 0.95
#define CONNECTIONS_INVALID 0.90
/* Lag of our own is noise beside the answer's time below this part of it. */
#define LAG_PART 0.10
/* A stall of whole seconds is hidden when the percentiles are below this part of it. */
#define STALL_PART 0.5
#define LAG_SUSPECT_NS 1e6
#define LAG_INVALID_NS 10e6
/* The kernel gives out the ports of one parity first; then it has to search. */
#define PORTS_SUSPECT 0.5
/* Ranks may begin apart by so much of the longest. */
#define APART_SUSPECT 0.10
#define APART_INVALID 0.50
#define CONNECT_RETRY_NS UINT64_C(900000000) /* a SYN is sent again after a second */
#define RETRANSMITS_SUSPECT 0.001            /* of the messages */

void
trust_clear(struct result_trust *trust)
{
	for (size_t i = 0; i < trust->reason_count; i++)
		free(trust->reasons[i]);
	free(trust->reasons);
	memset(trust, 0, sizeof(*trust));
}

int
trust_add(
    struct result_trust *trust, enum result_verdict verdict, const char *format, ...)
{
	char **more = reallocarray(
	    trust->reasons, trust->reason_count + 1, sizeof(trust->reasons[0]));
	va_list arguments;
	int length;

	if (more == NULL)
		return -1;
	trust->reasons = more;
	va_start(arguments, format);
	length = vasprintf(&trust->reasons[trust->reason_count], format, arguments);
	va_end(arguments);
	if (length < 0)
		return -1;
	trust->reason_count++;
	if (verdict > trust->verdict)
		trust->verdict = verdict;
	return 0;
}

static bool
is_paced(const struct result *result)
{
	return result->plan.rate > 0 || result->plan.interval_ns > 0;
}

/* Where the load is paced, a busy generator sends late; where it is not, the generator
 * and not the server may be what limits the rate. A spinning one is busy by intent. */
static int
check_cpu(struct result *result)
{
	struct result_trust *trust = &result->trust;
	const struct result_process *busiest = NULL;

	for (size_t i = 0; i < result->process_count; i++) {
		const struct result_process *process = &result->processes[i];

		if (process->died &&
		    trust_add(trust, RESULT_INVALID,
			"generator %llu died before the end",
			(unsigned long long)process->process) < 0)
			return -1;
		if (busiest == NULL || process->cpu_share > busiest->cpu_share)
			busiest = process;
	}
	if (busiest == NULL || result->elapsed_s < CPU_SECONDS_MIN ||
	    result->plan.spin_ns > 0 || busiest->cpu_share < CPU_SUSPECT)
		return 0;
	if (!is_paced(result))
		return busiest->cpu_share < CPU_INVALID
		    ? 0
		    : trust_add(trust, RESULT_SUSPECT,
			  "generator %llu used %.0f %% of a CPU: the client may be what limits the rate",
			  (unsigned long long)busiest->process,
			  100 * busiest->cpu_share);
	return trust_add(trust,
	    busiest->cpu_share < CPU_INVALID ? RESULT_SUSPECT : RESULT_INVALID,
	    "generator %llu used %.0f %% of a CPU, wanted below %.0f %%: more generators (-w) or CPUs are needed",
	    (unsigned long long)busiest->process, 100 * busiest->cpu_share,
	    100 * CPU_SUSPECT);
}

/* The lag of one histogram, when it is of weight against the 99th percentile of what
 * was measured. */
static int
check_lag(struct result *result, enum latency_kind which, const char *what)
{
	const struct histogram *lag = result->latency[which];
	double p99 = (double)histogram_percentile(lag, 99);
	double response =
	    (double)histogram_percentile(result->latency[LATENCY_RESPONSE], 99);
	char text[UNITS_TEXT_MAX], share[UNITS_TEXT_MAX];

	if (!percentile_interval_of(lag, 99, 0).known || p99 < LAG_SUSPECT_NS ||
	    p99 < LAG_PART * response)
		return 0;
	return trust_add(&result->trust,
	    p99 < LAG_INVALID_NS ? RESULT_SUSPECT : RESULT_INVALID,
	    "%s: %s at p99, where the answers took %s", what,
	    units_show_duration((uint64_t)p99, text),
	    units_show_duration((uint64_t)response, share));
}

static int
check_rate(struct result *result)
{
	char asked[UNITS_TEXT_MAX], got[UNITS_TEXT_MAX];
	double part;

	if (!is_paced(result) || result->messages_due == 0 || result->interrupted)
		return 0;
	if (result->messages.sent >= result->messages_due)
		return 0;
	part = (double)result->messages.sent / (double)result->messages_due;
	return trust_add(&result->trust,
	    part < RATE_INVALID ? RESULT_INVALID : RESULT_SUSPECT,
	    "%s messages were due, %s were sent (%.1f %%): the others would have taken longest, and are in no percentile",
	    units_show_count(result->messages_due, asked),
	    units_show_count(result->messages.sent, got), 100 * part);
}

static int
check_connections(struct result *result)
{
	const struct result_connections *connections = &result->connections;
	char asked[UNITS_TEXT_MAX], got[UNITS_TEXT_MAX];
	double part;

	if (connections->first >= connections->requested)
		return 0;
	part = (double)connections->first / (double)connections->requested;
	return trust_add(&result->trust,
	    part < CONNECTIONS_INVALID ? RESULT_INVALID : RESULT_SUSPECT,
	    "%s connections were asked for, %s established",
	    units_show_count(connections->requested, asked),
	    units_show_count(connections->first, got));
}

static int
check_ports(struct result *result)
{
	const struct result_ports *ports = &result->ports;
	char held[UNITS_TEXT_MAX], all[UNITS_TEXT_MAX];

	if (ports->available == 0 ||
	    (double)ports->held_max <= PORTS_SUSPECT * (double)ports->available)
		return 0;
	return trust_add(&result->trust, RESULT_SUSPECT,
	    "%s of %s local ports were held at one time: connect times hold the search for a free one; more source addresses (--source-ip) or --close rst are needed",
	    units_show_count(ports->held_max, held),
	    units_show_count(ports->available, all));
}

/* The counter is of all that listens here. What it took from this run shows in a call
 * that failed or was made again after a second, or in what had to be sent again. */
static bool
may_have_been_dropped(const struct result *result)
{
	return result->host.retransmits > 0 ||
	    result_failed(&result->connections) > 0 ||
	    histogram_max(result->latency[LATENCY_CONNECT]) >= CONNECT_RETRY_NS;
}

static int
check_kernel(struct result *result)
{
	const struct result_host *host = &result->host;
	char text[UNITS_TEXT_MAX];

	if (host->retransmits > 1 &&
	    (double)host->retransmits >
		RETRANSMITS_SUSPECT * (double)result->messages.sent &&
	    trust_add(&result->trust, RESULT_SUSPECT,
		"%s segments of these connections were sent again: packets were lost",
		units_show_count(host->retransmits, text)) < 0)
		return -1;
	if (host->listen_overflows > 0 && may_have_been_dropped(result) &&
	    trust_add(&result->trust, RESULT_SUSPECT,
		"an accept queue on this machine overflowed %s times: connect times hold retries",
		units_show_count(host->listen_overflows, text)) < 0)
		return -1;
	return 0;
}

static int
check_counts(struct result *result)
{
	char text[UNITS_TEXT_MAX];
	uint64_t dropped = 0;

	for (int i = 0; i < LATENCY_KIND_COUNT; i++)
		dropped += histogram_dropped(result->latency[i]);
	if (dropped > 0 &&
	    trust_add(&result->trust, RESULT_SUSPECT,
		"values over an hour, %s of them, are in no figure",
		units_show_count(dropped, text)) < 0)
		return -1;
	if (!result_adds_up(&result->messages) &&
	    trust_add(&result->trust, RESULT_INVALID,
		"sent is not verified + wrong + lost + in flight") < 0)
		return -1;
	if (result->interrupted &&
	    trust_add(&result->trust, RESULT_SUSPECT,
		"the run was interrupted: it is shorter than asked for") < 0)
		return -1;
	return 0;
}

/* A stream has no messages: where one arrives in two pieces, or two in one, a server
 * that adds a text to what it has read is right, and its answers look wrong. */
static int
check_stream(struct result *result)
{
	const struct result_plan *plan = &result->plan;

	if (plan->framing == NULL || strcmp(plan->framing, "stream") != 0 ||
	    plan->expect == NULL ||
	    (strstr(plan->expect, ",suffix=") == NULL &&
		strncmp(plan->expect, "fixed=", strlen("fixed=")) != 0) ||
	    result->messages.wrong + result_lost(&result->messages) +
		    result->bytes_unexpected ==
		0)
		return 0;
	return trust_add(&result->trust, RESULT_SUSPECT,
	    "in framing stream a suffix or fixed text comes once for each read of the server, not for each message: what is wrong or lost may be that (--framing line or length32 tells messages apart)");
}

/* Ranks that ran one after the other were no load together. */
static int
check_overlap(struct result *result)
{
	char all[UNITS_TEXT_MAX], each[UNITS_TEXT_MAX];
	double longest = 0, apart;

	for (size_t i = 0; i < result->rank_count; i++)
		longest = fmax(longest, result->ranks[i].elapsed_s);
	apart = longest > 0 ? result->elapsed_s / longest - 1 : 0;
	if (result->plan.duration_ns == 0 || apart < APART_SUSPECT)
		return 0;
	return trust_add(&result->trust,
	    apart < APART_INVALID ? RESULT_SUSPECT : RESULT_INVALID,
	    "the ranks did not run at the same time: %s from the first to the last, %s for the longest of them (--start-at begins them together)",
	    units_show_duration(result_whole(result->elapsed_s * 1e9), all),
	    units_show_duration(result_whole(longest * 1e9), each));
}

/* The parts of a merged result had loads and CPUs of their own and were judged by them:
 * the worst of their verdicts counts. */
static int
check_ranks(struct result *result)
{
	struct result_trust *trust = &result->trust;

	for (size_t i = 0; i < result->rank_count; i++) {
		const struct result_rank *rank = &result->ranks[i];

		for (int v = RESULT_SUSPECT; v <= RESULT_INVALID; v++)
			if (strcmp(rank->verdict, result_verdict_names[v]) == 0 &&
			    trust_add(trust, (enum result_verdict)v,
				"rank %llu (%s) is %s: %s",
				(unsigned long long)rank->rank, rank->hostname,
				rank->verdict, rank->reasons) < 0)
				return -1;
	}
	if (result->rank_count < result->plan.ranks &&
	    trust_add(trust, RESULT_INVALID, "%zu of %llu ranks are there",
		result->rank_count, (unsigned long long)result->plan.ranks) < 0)
		return -1;
	return check_overlap(result);
}

/* The longest row of whole seconds that answered nothing on open connections: how long,
 * and *ret_from when it began. */
static double
longest_silence(const struct result *result, double *ret_from)
{
	double longest = 0, now = 0;

	for (size_t i = 0; i < result->second_count; i++) {
		const struct result_second *second = &result->seconds[i];

		if (second->verified + second->wrong > 0 ||
		    second->connections_open == 0 || !result_second_is_whole(second)) {
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

/* While nothing is answered a closed loop sends nothing: of a stall that a rate would
 * have met a thousand times it knows one message for each connection. */
static int
check_silence(struct result *result)
{
	const struct histogram *response = result->latency[LATENCY_RESPONSE];
	double p99 = (double)histogram_percentile(response, 99), from = 0;
	double silent_ns = longest_silence(result, &from) * 1e9;
	char text[UNITS_TEXT_MAX], when[UNITS_TEXT_MAX];

	if (is_paced(result) || histogram_count(response) == 0 ||
	    p99 > silent_ns * STALL_PART)
		return 0;
	return trust_add(&result->trust, RESULT_SUSPECT,
	    "nothing was answered for at least %s, %s after the start: a closed loop sends nothing meanwhile, and the percentiles hardly show it (--rate does)",
	    units_show_duration(result_whole(silent_ns), text),
	    units_show_duration(result_whole(from * 1e9), when));
}

static int
check_load(struct result *result)
{
	if (check_cpu(result) != 0 || check_rate(result) != 0 ||
	    check_silence(result) < 0 ||
	    check_lag(result, LATENCY_LOOP_LAG, "the generator woke up late") != 0 ||
	    (is_paced(result) &&
		check_lag(result, LATENCY_SEND_LAG, "messages were sent late") != 0))
		return -1;
	return check_kernel(result) < 0 ? -1 : check_ports(result);
}

int
trust_evaluate(struct result *result)
{
	trust_clear(&result->trust);
	if ((result->rank_count > 0 ? check_ranks(result) : check_load(result)) != 0 ||
	    check_connections(result) != 0 || check_counts(result) < 0)
		return -1;
	return check_stream(result);
}
