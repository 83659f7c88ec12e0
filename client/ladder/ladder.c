#include "client/ladder/ladder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/xmalloc.h"
#include "client/ladder/ladder_trial.h"
#include "client/probes/far_end.h"

#define SERVED_WAIT_NS (3 * NS_PER_S)
#define REFUSED_MAX 3 /* then no more are opened */
#define AFTER_LIMIT_NS (2 * NS_PER_S)
#define ASKED_MAX 4    /* dead trials of a kind that the server is asked about */
#define TAIL_S 3.0     /* what the ladder needs after its highest rung */
#define TOGETHER_S 1.0 /* within which a server that stops ends its connections */

/* --- rungs --- */

/* Just below and above the timeouts of known products (yodel-survey(1)). The short ones
 * are for short ladders. */
static const double known_rungs[] = { 5, 10, 15, 20, 29, 31, 44, 46, 59, 62, 74, 76, 89,
	91, 105, 117, 119, 122, 178, 183, 238, 243, 298, 303, 348, 353, 358, 363, 595,
	605, 895, 905, 1195, 1205, 1795, 1805, 3595, 3605, 7430, 7450 };
static const double short_rungs[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14 };

uint32_t
ladder_rungs(double top_s, double rungs[SURVEY_RUNGS_MAX])
{
	bool is_short = top_s < 15;
	const double *from = is_short ? short_rungs : known_rungs;
	size_t count = is_short ? sizeof(short_rungs) / sizeof(short_rungs[0])
				: sizeof(known_rungs) / sizeof(known_rungs[0]);
	uint32_t n = 0;
	for (size_t i = 0; i < count && from[i] <= top_s; i++)
		rungs[n++] = from[i];
	/* The top itself, unless a rung is near. */
	if (top_s >= 0.5 && (n == 0 || top_s > rungs[n - 1] * 1.05 + 0.5))
		rungs[n++] = top_s;
	return n;
}

double
ladder_top(const struct survey_plan *plan)
{
	double most_s = (double)plan->duration_ns / (double)NS_PER_S - TAIL_S;
	double asked_s = (double)plan->idle_max_ns / (double)NS_PER_S;
	double top_s = plan->idle_max_ns > 0 && asked_s < most_s ? asked_s : most_s;
	return top_s < 0.5 ? 0 : top_s;
}

/* The ladder leaves a quarter of the connections to the other probes. */
static uint32_t
most_trials(const struct survey_plan *plan)
{
	uint32_t most = plan->connections - plan->connections / 4;
	return most < LADDER_TRIALS_MAX ? most : LADDER_TRIALS_MAX;
}

/* --- the ladder --- */

static void
add_trial(struct survey_ladder *ladder, enum ladder_kind kind, double rung_s)
{
	if (ladder->trial_count < most_trials(ladder->survey->plan))
		ladder->trials[ladder->trial_count++] = (struct ladder_trial){
			.ladder = ladder,
			.kind = kind,
			.result.planned_s = rung_s,
		};
}

/* Every second rung first, so that those that are opened last, which may have no room,
 * leave no gap. */
static void
plan_trials(struct survey_ladder *ladder)
{
	const struct survey *survey = ladder->survey;
	const bool *asked = survey->plan->is_asked;
	bool is_witness = survey->far == SURVEY_FAR_WITNESS;
	if (asked[SURVEY_life] && !survey->closes_itself)
		add_trial(ladder, LADDER_ACTIVE, 0);
	bool asks_keepalive = asked[SURVEY_keepalive] && ladder->top_s > 0;
	if (asks_keepalive && !survey->closes_itself)
		add_trial(ladder, LADDER_KEPT_BY_CLIENT, ladder->top_s);
	if (asks_keepalive && is_witness)
		add_trial(ladder, LADDER_KEPT_BY_SERVER, ladder->top_s);
	for (uint32_t odd = 0; odd < 2; odd++)
		for (uint32_t i = odd; i < ladder->rung_count; i += 2) {
			if (asked[SURVEY_idle] || asked[SURVEY_keepalive])
				add_trial(
				    ladder, LADDER_CLIENT_FIRST, ladder->rungs[i]);
			if (asked[SURVEY_idle] && is_witness)
				add_trial(
				    ladder, LADDER_SERVER_FIRST, ladder->rungs[i]);
		}
	for (uint32_t odd = 0; odd < 2 && is_witness; odd++)
		for (uint32_t i = odd; i < ladder->rung_count; i += 2)
			if (asked[SURVEY_half_closed])
				add_trial(ladder, LADDER_HALF_CLOSED, ladder->rungs[i]);
}

uint32_t
ladder_connections(const struct survey_plan *plan)
{
	double rungs[SURVEY_RUNGS_MAX];
	uint32_t count = ladder_rungs(ladder_top(plan), rungs), trials = 0;
	trials += plan->is_asked[SURVEY_life];
	trials += 2U * plan->is_asked[SURVEY_keepalive];
	if (plan->is_asked[SURVEY_idle])
		trials += 2 * count;
	else if (plan->is_asked[SURVEY_keepalive])
		trials += count;
	if (plan->is_asked[SURVEY_half_closed])
		trials += count;
	return trials < most_trials(plan) ? trials : most_trials(plan);
}

static void
open_trial(struct survey *survey, struct ladder_trial *trial)
{
	struct survey_open open = far_end_target(survey);
	open.may_fail = true;
	trial->conn = survey_conn_open(&survey->loop, &open);
	if (trial->conn == NULL) {
		trial->state = LADDER_DONE;
		return;
	}
	ladder_trial_start(trial);
}

static bool
all_are_served(const void *argument)
{
	const struct survey_ladder *ladder = argument;
	for (uint32_t i = 0; i < ladder->trial_count; i++)
		if (ladder->trials[i].state == LADDER_CONNECTING ||
		    ladder->trials[i].state == LADDER_GREETING)
			return false;
	return true;
}

/* The path does not serve this number of connections: the ladder gives half of its own
 * back, from the last, so that other probes have room. */
static void
make_room(struct survey_ladder *ladder)
{
	uint32_t served = 0, kept = 0;
	for (uint32_t i = 0; i < ladder->trial_count; i++)
		served += ladder->trials[i].state == LADDER_IDLE;
	for (uint32_t i = 0; i < ladder->trial_count; i++) {
		struct ladder_trial *trial = &ladder->trials[i];
		if (trial->state == LADDER_IDLE && ++kept > served / 2)
			ladder_trial_finish(trial, BRACKET_UNKNOWN);
	}
}

void
ladder_start(struct survey *survey)
{
	struct survey_ladder *ladder = xcalloc(1, sizeof(*ladder));
	ladder->survey = survey;
	ladder->top_s = ladder_top(survey->plan);
	double left_s =
	    (double)(survey->loop.end_ns - survey->loop.now_ns) / (double)NS_PER_S;
	if (left_s < ladder->top_s + TAIL_S)
		ladder->top_s = left_s > TAIL_S + 0.5 ? left_s - TAIL_S : 0;
	ladder->rung_count = ladder_rungs(ladder->top_s, ladder->rungs);
	uint64_t interval_s = (uint64_t)(ladder->top_s / 8);
	ladder->keepalive_ns = (interval_s < 1           ? 1
				       : interval_s > 10 ? 10
							 : interval_s) *
	    NS_PER_S;
	survey->ladder = ladder;
	plan_trials(ladder);
	for (uint32_t i = 0; i < ladder->trial_count && ladder->refused < REFUSED_MAX;
	     i++)
		open_trial(survey, &ladder->trials[i]);
	(void)survey_loop_wait(&survey->loop, SERVED_WAIT_NS, all_are_served, ladder);
	if (ladder->refused > 0) {
		make_room(ladder);
		/* Connections that wait for a place at a proxy are served or given up.
		 */
		survey_loop_sleep(&survey->loop, AFTER_LIMIT_NS);
	}
}

static double
ended_s(const struct ladder_trial *trial)
{
	return (double)trial->idle_ns / (double)NS_PER_S + trial->result.idle_s;
}

/* By a FIN or RST, which may be the server's own. */
static bool
is_ended(const struct ladder_trial *trial)
{
	return trial->state == LADDER_DONE &&
	    (trial->result.fate == BRACKET_RESET || trial->result.fate == BRACKET_FIN);
}

/* The server has ended this connection and those that ended together with it: they tell
 * nothing about the path. */
static void
disturb(struct survey *survey, const struct ladder_trial *by, const char *what)
{
	struct survey_ladder *ladder = survey->ladder;
	struct survey_result *result = survey->result;
	double at_s = ended_s(by);
	if (result->disturbed[0] == '\0')
		snprintf(result->disturbed, sizeof(result->disturbed), "%s", what);
	for (uint32_t i = 0; i < ladder->trial_count; i++) {
		struct ladder_trial *trial = &ladder->trials[i];
		double apart_s = ended_s(trial) - at_s;
		if (is_ended(trial) && apart_s > -TOGETHER_S && apart_s < TOGETHER_S)
			trial->result.fate = BRACKET_UNKNOWN;
	}
}

static bool
was_ended_by_server(const struct witness_record *record)
{
	return !record->is_open &&
	    (record->reason == CLOSE_DRAINED || record->reason == CLOSE_DRAIN_TIMEOUT ||
		record->reason == CLOSE_STOPPED || record->reason == CLOSE_WORKER_LOST);
}

/* Asks the server how a connection ended there. */
static enum ladder_told
ask_told(struct survey *survey, struct ladder_trial *trial)
{
	struct witness_answer answer = { .kind = WITNESS_INFO };
	bool is_known = far_end_ask_id(survey, trial->id, trial->instance, &answer);
	if (!is_known && answer.kind == WITNESS_ASK && is_ended(trial))
		disturb(survey, trial,
		    "the server no longer knows connections that it greeted: it was restarted, or two servers have the same instance name");
	if (!is_known)
		return LADDER_TOLD_UNKNOWN;
	const struct witness_record *record = &answer.record;
	if (was_ended_by_server(record))
		disturb(survey, trial,
		    "the server closed connections itself, for a reload or stop");
	if (record->has_tcp && trial->kind == LADDER_KEPT_BY_CLIENT)
		trial->server_heard = record->tcp.segs_in - trial->server_segs;
	const struct witness_event *said = far_end_event(record, WITNESS_EVENT_SAID);
	/* The server's own clock knows when it spoke. */
	if (said != NULL && trial->result.fate == BRACKET_SILENCE &&
	    trial->kind == LADDER_SERVER_FIRST) {
		double before_s = (double)(trial->idle_ns - trial->conn->connected_ns) /
		    (double)NS_PER_S;
		trial->result.idle_s = (double)said->at_us / 1e6 - before_s;
		/* Its clock began when it accepted, perhaps late; its timer is never
		 * early. */
		if (trial->result.idle_s < trial->result.planned_s)
			trial->result.idle_s = trial->result.planned_s;
	}
	if (far_end_event(record, WITNESS_EVENT_RESET) != NULL)
		return LADDER_TOLD_RST;
	if (trial->kind != LADDER_HALF_CLOSED &&
	    far_end_event(record, WITNESS_EVENT_EOF) != NULL)
		return LADDER_TOLD_FIN;
	return LADDER_TOLD_NOTHING;
}

void
ladder_ask(struct survey *survey)
{
	struct survey_ladder *ladder = survey->ladder;
	uint32_t asked[LADDER_ACTIVE + 1] = { 0 }, refused = survey->loop.refused;
	for (uint32_t i = 0; ladder != NULL && i < ladder->trial_count; i++) {
		struct ladder_trial *trial = &ladder->trials[i];
		if (trial->told != LADDER_TOLD_UNKNOWN)
			asked[trial->kind]++;
		if (!trial->may_ask)
			continue;
		if (asked[trial->kind] < ASKED_MAX &&
		    !survey_loop_is_over(&survey->loop)) {
			trial->told = ask_told(survey, trial);
			asked[trial->kind]++;
		}
		/* A server that restarts is asked the next time. */
		if (survey->loop.refused > refused)
			return;
		trial->may_ask = false;
		survey_conn_close(&survey->loop, trial->conn);
		trial->conn = NULL;
	}
}

bool
ladder_is_done(const struct survey *survey)
{
	const struct survey_ladder *ladder = survey->ladder;
	for (uint32_t i = 0; ladder != NULL && i < ladder->trial_count; i++)
		if (ladder->trials[i].state != LADDER_DONE)
			return false;
	return true;
}

const struct ladder_trial *
ladder_find(const struct survey_ladder *ladder, enum ladder_kind kind)
{
	for (uint32_t i = 0; i < ladder->trial_count; i++)
		if (ladder->trials[i].kind == kind)
			return &ladder->trials[i];
	return NULL;
}

void
ladder_finish(struct survey *survey)
{
	struct survey_ladder *ladder = survey->ladder;
	if (ladder == NULL)
		return;
	ladder_ask(survey);
	for (uint32_t i = 0; i < ladder->trial_count; i++) {
		struct ladder_trial *trial = &ladder->trials[i];
		if (trial->may_ask && is_ended(trial))
			disturb(survey, trial,
			    "connections ended while the server refused new ones: it was stopped");
		survey_conn_close(&survey->loop, trial->conn);
		trial->conn = NULL;
	}
	ladder_conclude(survey);
	free(ladder);
	survey->ladder = NULL;
}
