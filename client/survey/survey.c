#include "client/survey/survey.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "net/proxy_header.h"
#include "client/ladder/ladder.h"
#include "client/probes/far_end.h"
#include "client/probes/probes.h"
#include "client/probes/survey_tls.h"

#define QUIET_NS (4 * NS_PER_S) /* before the limit probes: buckets fill again */
#define PAUSE_NS (5 * NS_PER_S)
#define PAUSES_MAX 2
#define UNANSWERED_MAX 3
#define ASKING_CONNECTIONS 24 /* to ask the witness about others, in all */

static const struct survey_probe *
probe_of(enum survey_row_id row)
{
	const struct survey_probe *p = survey_probes;
	while (p->row != SURVEY_ROW_COUNT && p->row != row)
		p++;
	return p;
}

static uint64_t
connections_of(const struct survey_probe *probe, uint32_t repeats)
{
	return (uint64_t)probe->connections * (probe->is_repeated ? repeats : 1) +
	    probe->connections_fixed;
}

uint64_t
survey_connections(const struct survey_plan *plan)
{
	uint64_t count = 1 + ladder_connections(plan) + ASKING_CONNECTIONS;
	for (const struct survey_probe *p = survey_probes; p->row != SURVEY_ROW_COUNT;
	     p++) {
		if (!plan->is_asked[p->row] || p->row == SURVEY_rate)
			continue;
		if (p->row == SURVEY_concurrent)
			count += plan->connections;
		else if (p->row == SURVEY_burst)
			count += plan->burst;
		else
			count += connections_of(p, plan->repeat);
	}
	return count;
}

uint64_t
survey_rate_connections(const struct survey_plan *plan)
{
	return plan->is_asked[SURVEY_rate] ? probe_of(SURVEY_rate)->connections_fixed
					   : 0;
}

void
survey_list(void)
{
	static const char *const needs[] = { "anything that accepts", "an answer",
		"an echo server", "a witness" };
	printf("%-16s %-12s %-8s %s\n", "probe", "connections", "time", "needs");
	for (const struct survey_probe *p = survey_probes; p->row != SURVEY_ROW_COUNT;
	     p++) {
		char connections[32] = "-", time[32] = "-";
		uint64_t count = connections_of(p, SURVEY_REPEAT_DEFAULT);
		double seconds = (double)p->seconds * SURVEY_REPEAT_DEFAULT +
		    (double)p->seconds_fixed + (double)count / SURVEY_PACE_PER_S;
		if (p->stage == PROBE_LADDER) {
			snprintf(connections, sizeof(connections), "ladder");
			snprintf(time, sizeof(time), "-d");
		} else if (p->run != NULL) {
			snprintf(connections, sizeof(connections), "%llu",
			    (unsigned long long)count);
			snprintf(time, sizeof(time), "%.0f s", seconds + 0.5);
		}
		printf("%-16s %-12s %-8s %s%s%s\n", survey_row_kinds[p->row].id,
		    connections, time, needs[p->needs], p->also != NULL ? "; " : "",
		    p->also != NULL ? p->also : "");
		printf("    %s\n", survey_row_kinds[p->row].question);
	}
}

/* --- budget --- */

/* On a slow path the probes that take samples are content with fewer connections. */
static uint64_t
paced_connections(
    const struct survey *survey, const struct survey_probe *probe, uint32_t repeats)
{
	bool is_slow = survey->loop.connect_ns > NS_PER_S / 2;
	uint64_t count = connections_of(probe, repeats);
	if (is_slow && probe->row == SURVEY_reach)
		return 1;
	return is_slow && probe->row == SURVEY_source ? count / 4 : count;
}

/* The time that a probe takes on this path: its connections one after another, each
 * with the handshake and answers that were seen. */
static uint64_t
cost_ns(const struct survey *survey, const struct survey_probe *probe, uint32_t repeats)
{
	double seconds =
	    (double)probe->seconds * repeats + (double)probe->seconds_fixed;
	uint64_t each_ns = NS_PER_S / SURVEY_PACE_PER_S + survey->loop.connect_ns +
	    2 * survey->answer_ns + survey->greeting_ns;
	uint64_t paced =
	    probe->is_unpaced ? 1 : paced_connections(survey, probe, repeats);
	return (uint64_t)(seconds * (double)NS_PER_S) + paced * each_ns;
}

/* The repetitions that there is time for; 0: not even one. */
static uint32_t
affordable_repeats(const struct survey *survey, const struct survey_probe *probe)
{
	uint32_t repeats = probe->is_repeated ? survey->plan->repeat : 1;
	/* A slow path gives up its repetitions first. */
	if (survey->loop.connect_ns > NS_PER_S / 2)
		repeats = 1;
	while (repeats > 0 &&
	    !survey_loop_has_time(&survey->loop, cost_ns(survey, probe, repeats)))
		repeats--;
	return repeats;
}

static bool
is_concluded(const struct survey *survey, enum survey_row_id row)
{
	const struct survey_row *r = &survey->result->rows[row];
	return r->certainty != SURVEY_NOT_ASKED || r->reason[0] != '\0';
}

static bool
counts_in_the_kernel(enum survey_row_id row)
{
	return row == SURVEY_split || row == SURVEY_split_back;
}

static bool
needs_open_connections(enum survey_row_id row)
{
	return row == SURVEY_concurrent || row == SURVEY_by_source ||
	    row == SURVEY_life || row == SURVEY_keepalive;
}

/* Why the far end cannot answer this question; NULL if it can. */
static const char *
missing_need(const struct survey *survey, const struct survey_probe *probe)
{
	if (survey->plan->tls && counts_in_the_kernel(probe->row))
		return "with --tls: counts the kernel's bytes, which TLS changes";
	if (survey->closes_itself && needs_open_connections(probe->row))
		return "the server ends each connection itself after its answer";
	switch (probe->needs) {
	case PROBE_NEEDS_WITNESS:
		return survey->far == SURVEY_FAR_WITNESS
		    ? NULL
		    : "needs a witness (yodeld: reply \"witness\")";
	case PROBE_NEEDS_ECHO:
		return survey->far == SURVEY_FAR_WITNESS ||
			survey->far == SURVEY_FAR_ECHO
		    ? NULL
		    : "needs a witness or an echo server";
	case PROBE_NEEDS_ANSWERS:
		return survey->far == SURVEY_FAR_GREETS ||
			survey->far == SURVEY_FAR_SILENT
		    ? "needs a witness, or a server that answers a line"
		    : NULL;
	default:
		return NULL;
	}
}

/* A pause after a refusal or unanswered SYNs; after the second the rest is left out. */
static void
pause_after_refusals(struct survey *survey)
{
	struct survey_loop *loop = &survey->loop;
	struct survey_result *result = survey->result;
	if (result->failure[0] != '\0' ||
	    (loop->refused == 0 && loop->unanswered < UNANSWERED_MAX))
		return;
	survey->pauses++;
	if (survey->pauses >= PAUSES_MAX)
		snprintf(result->failure, sizeof(result->failure),
		    "stopped: connections were refused or not answered twice (%u refused, %u unanswered the second time)",
		    loop->refused, loop->unanswered);
	else
		survey_loop_sleep(loop, PAUSE_NS);
	loop->refused = loop->unanswered = 0;
}

static void
run_probe(struct survey *survey, const struct survey_probe *probe)
{
	struct survey_result *result = survey->result;
	const char *missing = missing_need(survey, probe);
	if (probe->run == NULL || !survey->plan->is_asked[probe->row] ||
	    is_concluded(survey, probe->row))
		return;
	if (missing != NULL) {
		survey_not_asked(result, probe->row, "%s", missing);
		return;
	}
	survey->repeats = affordable_repeats(survey, probe);
	if (survey->repeats == 0) {
		survey_not_asked(result, probe->row, "not enough time: needs %.1f s",
		    (double)cost_ns(survey, probe, 1) / (double)NS_PER_S);
		return;
	}
	if (survey->on_progress != NULL)
		survey->on_progress(survey, survey_row_kinds[probe->row].id);
	probe->run(survey);
}

static void
run_stage(struct survey *survey, enum probe_stage stage)
{
	for (const struct survey_probe *p = survey_probes; p->row != SURVEY_ROW_COUNT;
	     p++) {
		if (p->stage != stage || survey_loop_is_over(&survey->loop) ||
		    survey->result->failure[0] != '\0')
			continue;
		run_probe(survey, p);
		ladder_ask(survey);
		if (stage != PROBE_LIMITS)
			pause_after_refusals(survey);
	}
}

static bool
any_limit_is_asked(const struct survey *survey)
{
	for (const struct survey_probe *p = survey_probes; p->row != SURVEY_ROW_COUNT;
	     p++)
		if (p->stage == PROBE_LIMITS && survey->plan->is_asked[p->row] &&
		    p->run != NULL && missing_need(survey, p) == NULL)
			return true;
	return false;
}

static bool
ladder_is_over(const void *argument)
{
	return ladder_is_done(argument);
}

/* Waits for the ladder alone, and asks about what has died on the way. */
static void
wait_for_ladder(struct survey *survey)
{
	while (!ladder_is_done(survey) && !survey_loop_is_over(&survey->loop)) {
		if (survey->on_progress != NULL)
			survey->on_progress(survey, "idle");
		(void)survey_loop_wait(&survey->loop, NS_PER_S, ladder_is_over, survey);
		ladder_ask(survey);
	}
}

/* Rows without an answer say why. */
static void
explain_rest(struct survey *survey)
{
	struct survey_result *result = survey->result;
	for (int i = 0; i < SURVEY_ROW_COUNT; i++) {
		enum survey_row_id row = (enum survey_row_id)i;
		const struct survey_probe *probe = probe_of(row);
		if (is_concluded(survey, row))
			continue;
		const char *missing = missing_need(survey, probe);
		if (!survey->plan->is_asked[row])
			survey_not_asked(result, row, "left out");
		else if (survey->loop.is_interrupted)
			survey_not_asked(result, row, "interrupted");
		else if (result->failure[0] != '\0')
			survey_not_asked(result, row, "stopped before");
		else if (missing != NULL)
			survey_not_asked(result, row, "%s", missing);
		else if (survey->loop.left == 0)
			survey_not_asked(result, row, "no connection left");
		else if (survey_loop_is_over(&survey->loop))
			survey_not_asked(result, row, "not enough time");
		else if (probe->also != NULL && probe->run == NULL)
			survey_not_asked(result, row, "needs %s", probe->also);
		else
			survey_not_asked(result, row, "could not be measured here");
	}
}

static void
run_all(struct survey *survey)
{
	struct survey_result *result = survey->result;
	struct survey_loop *loop = &survey->loop;
	far_end_recognise(survey);
	run_stage(survey, PROBE_FIRST);
	if (result->failure[0] == '\0' && !survey_loop_is_over(loop)) {
		ladder_start(survey);
		run_stage(survey, PROBE_BESIDE);
		if (any_limit_is_asked(survey) && result->failure[0] == '\0') {
			survey_loop_sleep(loop, QUIET_NS);
			ladder_ask(survey);
			run_stage(survey, PROBE_LIMITS);
		}
		result->fast_s =
		    (double)(clock_now_ns() - survey->started_ns) / (double)NS_PER_S;
		if (result->failure[0] == '\0')
			wait_for_ladder(survey);
		ladder_finish(survey);
		run_stage(survey, PROBE_LAST);
	}
	explain_rest(survey);
}

static size_t
write_header(const struct survey_loop *loop, int fd, uint8_t *out)
{
	const struct survey_plan *plan = loop->header_argument;
	struct proxy_announcement announcement = {
		.version = plan->proxy_version == PROXY_V1 ? 1 : 2,
		.source = { .length = sizeof(announcement.source.storage) },
		.destination = plan->target,
	};
	if (getsockname(fd, (struct sockaddr *)&announcement.source.storage,
		&announcement.source.length) < 0)
		return 0;
	return proxy_header_write(&announcement, out, PROXY_HEADER_MAX);
}

/* The options of TLS, as those of a load run. 0, or 64 with one line on stderr. */
static int
start_tls(const struct survey_plan *plan, struct plan *load, struct survey_loop *loop)
{
	char error[PLAN_ERROR_MAX];
	*load = (struct plan){
		.tls = plan->tls,
		.tls_insecure = plan->tls_insecure,
		.tls_ca = plan->tls_ca,
		.tls_name = plan->tls_name,
		.connections = 1,
		.targets[0].text = plan->target_text,
		.target_count = 1,
	};
	loop->tls = survey_tls_create(load, error);
	if (loop->tls != NULL)
		return 0;
	log_errorx("%s", error);
	return EX_USAGE;
}

int
survey_run(const struct survey_plan *plan, struct survey_result *result,
    void (*on_progress)(const struct survey *survey, const char *what))
{
	struct survey survey = { .plan = plan,
		.result = result,
		.on_progress = on_progress,
		.started_ns = clock_now_ns() };
	/* Some sockets are no connections of the survey: by what a probe compares. */
	if (survey_loop_init(&survey.loop, plan->connections,
		survey_connections(plan) + survey_rate_connections(plan),
		survey.started_ns + plan->duration_ns) < 0) {
		log_error("cannot start");
		return EX_OSERR;
	}
	srandom((unsigned)survey.started_ns);
	if (plan->proxy_version != PROXY_OFF) {
		survey.loop.header = write_header;
		survey.loop.header_argument = plan;
	}
	static struct plan tls_options;
	int status = plan->tls ? start_tls(plan, &tls_options, &survey.loop) : 0;
	if (status == 0)
		run_all(&survey);
	result->connections = survey.loop.connections;
	result->connections_open_most = survey.loop.open_most;
	result->bytes = survey.loop.bytes;
	result->is_interrupted = survey.loop.is_interrupted;
	result->took_s =
	    (double)(clock_now_ns() - survey.started_ns) / (double)NS_PER_S;
	survey_loop_finish(&survey.loop);
	survey_tls_destroy(survey.loop.tls);
	if (status != 0)
		return status;
	return result->failure[0] != '\0' ? 1 : 0;
}
