#include "client/probes/ladder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "lib/xmalloc.h"
#include "net/socket_info.h"
#include "net/tcp_info.h"
#include "client/probes/far_end.h"

#define SPOKEN_WAIT_NS (2500 * NS_PER_MS) /* for an answer after idleness */
#define SERVED_WAIT_NS (3 * NS_PER_S)
#define ACTIVE_NS NS_PER_S /* between messages of the active connection */
#define REFUSED_MAX 3      /* then no more are opened */
#define AFTER_LIMIT_NS (2 * NS_PER_S)
#define ASKED_MAX 4 /* dead trials of a kind that the server is asked about */
#define TAIL_S 3.0  /* what the ladder needs after its highest rung */

/* --- rungs ---------------------------------------------------------------------------
 */

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

/* --- trials
 * --------------------------------------------------------------------------- */

static void
finish_trial(struct ladder_trial *trial, enum bracket_fate fate)
{
	struct survey *survey = trial->ladder->survey;
	bool is_dead = fate > BRACKET_ALIVE;
	trial->result.fate = fate;
	trial->state = LADDER_DONE;
	trial->may_ask = is_dead && survey->far == SURVEY_FAR_WITNESS;
	if (!trial->may_ask) {
		survey_conn_close(&survey->loop, trial->conn);
		trial->conn = NULL;
	}
}

static double
seconds_idle(const struct ladder_trial *trial, uint64_t until_ns)
{
	return until_ns > trial->idle_ns
	    ? (double)(until_ns - trial->idle_ns) / (double)NS_PER_S
	    : 0;
}

/* Nothing came from the start: the path has no room for it, or lost it. */
static void
refuse_trial(struct ladder_trial *trial)
{
	trial->ladder->refused++;
	finish_trial(trial, BRACKET_UNKNOWN);
}

static uint32_t
segments_in(const struct survey_conn *conn)
{
	struct tcp_info_view info;
	return tcp_info_read(conn->stream.fd, &info) < 0 ? 0 : info.segs_in;
}

static void
end_trial(struct ladder_trial *trial)
{
	const struct survey_conn *conn = trial->conn;
	bool is_reset = conn->error_ns > 0;
	uint64_t at_ns = is_reset ? conn->error_ns : conn->eof_ns;
	if (trial->state < LADDER_IDLE) {
		refuse_trial(trial);
		return;
	}
	/* A foreign server that ends on our words has heard them. */
	if (trial->state == LADDER_SPOKEN && !is_reset &&
	    trial->ladder->survey->far == SURVEY_FAR_GREETS) {
		finish_trial(trial, BRACKET_ALIVE);
		return;
	}
	trial->result.unasked = trial->state == LADDER_IDLE;
	if (trial->result.unasked)
		trial->result.idle_s = seconds_idle(trial, at_ns);
	if (trial->kind == LADDER_KEPT_BY_SERVER)
		trial->client_heard = segments_in(conn) - trial->client_segs;
	finish_trial(trial, is_reset ? BRACKET_RESET : BRACKET_FIN);
}

static void
set_timer(const struct ladder_trial *trial, uint64_t at_ns)
{
	survey_conn_set_timer(&trial->ladder->survey->loop, trial->conn, at_ns);
}

static uint64_t
rung_ns(const struct ladder_trial *trial)
{
	return (uint64_t)(trial->result.planned_s * (double)NS_PER_S);
}

/* The server's clock for `say`. */
static uint32_t
rung_ms(const struct ladder_trial *trial)
{
	return (uint32_t)(trial->result.planned_s * 1000);
}

/* The client's kernel keeps the connection. */
static void
keep_alive(const struct ladder_trial *trial)
{
	int fd = trial->conn->stream.fd, on = 1;
	int seconds = (int)(trial->ladder->keepalive_ns / NS_PER_S);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof(seconds));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof(seconds));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

/* Served: from now on it is left alone. */
static void
begin_idleness(struct ladder_trial *trial)
{
	struct survey *survey = trial->ladder->survey;
	struct survey_conn *conn = trial->conn;
	bool is_witness = survey->far == SURVEY_FAR_WITNESS;
	uint32_t keepalive_ms = (uint32_t)(trial->ladder->keepalive_ns / NS_PER_MS);
	trial->state = LADDER_IDLE;
	trial->received = conn->received;
	switch (trial->kind) {
	case LADDER_SERVER_FIRST:
	case LADDER_HALF_CLOSED:
		(void)far_end_command(survey, conn, WITNESS_SAY, rung_ms(trial), 1);
		if (trial->kind == LADDER_HALF_CLOSED)
			(void)transport_finish(&conn->stream);
		break;
	case LADDER_KEPT_BY_CLIENT:
		keep_alive(trial);
		if (is_witness)
			(void)far_end_command(survey, conn, WITNESS_INFO, 0, 0);
		break;
	case LADDER_KEPT_BY_SERVER:
		(void)far_end_command(survey, conn, WITNESS_KEEPALIVE, keepalive_ms, 0);
		break;
	default:
		break;
	}
	trial->idle_ns = survey->loop.now_ns = clock_now_ns();
	trial->client_segs = segments_in(conn);
	set_timer(trial,
	    trial->idle_ns +
		(trial->kind == LADDER_ACTIVE ? ACTIVE_NS : rung_ns(trial)));
}

/* The time has come: the client speaks, or the server has been told to. */
static void
speak(struct ladder_trial *trial)
{
	struct survey *survey = trial->ladder->survey;
	uint64_t wait_ns = SPOKEN_WAIT_NS + 4 * survey->answer_ns;
	trial->state = LADDER_SPOKEN;
	trial->spoken_ns = survey->loop.now_ns;
	if (trial->kind != LADDER_ACTIVE)
		trial->result.idle_s = seconds_idle(trial, trial->spoken_ns);
	if (trial->kind == LADDER_KEPT_BY_SERVER)
		trial->client_heard = segments_in(trial->conn) - trial->client_segs;
	if (trial->kind != LADDER_SERVER_FIRST && trial->kind != LADDER_HALF_CLOSED) {
		trial->received = trial->conn->received;
		(void)far_end_speak(survey, trial->conn);
	}
	/* A send that fails has ended the connection. */
	if (survey_conn_has_ended(trial->conn))
		end_trial(trial);
	else
		set_timer(trial, trial->spoken_ns + wait_ns);
}

/* The active connection has been answered: it goes on until the top. */
static bool
goes_on(struct ladder_trial *trial)
{
	struct survey *survey = trial->ladder->survey;
	trial->result.idle_s = seconds_idle(trial, survey->loop.now_ns);
	if (trial->kind != LADDER_ACTIVE ||
	    trial->result.idle_s >= trial->ladder->top_s)
		return false;
	trial->state = LADDER_IDLE;
	set_timer(trial, survey->loop.now_ns + ACTIVE_NS);
	return true;
}

/* Was it answered, or where nothing is ever said, acknowledged? */
static bool
is_answered(const struct ladder_trial *trial)
{
	enum survey_far far = trial->ladder->survey->far;
	if (trial->conn->received > trial->received)
		return true;
	return (far == SURVEY_FAR_SILENT || far == SURVEY_FAR_GREETS) &&
	    trial->conn->error_ns == 0 &&
	    socket_info_unacknowledged(trial->conn->stream.fd) == 0;
}

static void
on_timer(void *owner, struct survey_conn *conn)
{
	struct ladder_trial *trial = owner;
	(void)conn;
	switch (trial->state) {
	case LADDER_CONNECTING:
	case LADDER_GREETING:
		refuse_trial(trial);
		break;
	case LADDER_IDLE:
		speak(trial);
		break;
	case LADDER_SPOKEN:
		if (!is_answered(trial))
			finish_trial(trial, BRACKET_SILENCE);
		else if (!goes_on(trial))
			finish_trial(trial, BRACKET_ALIVE);
		break;
	default:
		break;
	}
}

/* The greeting, and behind it the answer to our first words where it waits for them. */
static void
read_greeting(struct ladder_trial *trial)
{
	struct witness_view view;
	char line[WITNESS_GREETING_MAX];
	while (trial->state == LADDER_GREETING &&
	    survey_conn_take_line(trial->conn, line, sizeof(line))) {
		if (trial->id[0] == '\0') {
			if (!witness_greeting_read(line, strlen(line), &view))
				continue;
			witness_id_format(&view.greeting.id, trial->id);
			snprintf(trial->instance, sizeof(trial->instance), "%s",
			    view.instance);
			if (trial->skips_line)
				continue;
		}
		begin_idleness(trial);
	}
}

/* The records at the begin and the end of a connection that is kept. */
static void
read_records(struct ladder_trial *trial)
{
	struct witness_answer answer;
	char line[WITNESS_ANSWER_MAX];
	while (trial->conn != NULL &&
	    survey_conn_take_line(trial->conn, line, sizeof(line))) {
		if (!witness_answer_read(line, strlen(line), &answer) ||
		    !answer.has_record)
			continue;
		if (trial->state == LADDER_IDLE)
			trial->server_segs = answer.record.tcp.segs_in;
		else
			trial->server_heard =
			    answer.record.tcp.segs_in - trial->server_segs;
	}
}

/* True if the bytes that came are what was waited for, rather than the answer to the
 * first words of a connection that is kept. */
static bool
has_answer(struct ladder_trial *trial)
{
	if (trial->kind == LADDER_KEPT_BY_CLIENT ||
	    trial->kind == LADDER_KEPT_BY_SERVER)
		read_records(trial);
	if (trial->state == LADDER_SPOKEN)
		return trial->conn->received > trial->received;
	/* The server speaks by its own clock: perhaps before our timer. */
	if (trial->state == LADDER_IDLE &&
	    (trial->kind == LADDER_SERVER_FIRST || trial->kind == LADDER_HALF_CLOSED) &&
	    trial->conn->received > trial->received) {
		trial->result.idle_s =
		    seconds_idle(trial, trial->ladder->survey->loop.now_ns);
		return true;
	}
	return false;
}

static void
on_event(void *owner, struct survey_conn *conn)
{
	struct ladder_trial *trial = owner;
	struct survey *survey = trial->ladder->survey;
	if (trial->state == LADDER_DONE)
		return;
	if (trial->state == LADDER_CONNECTING && conn->state == SURVEY_CONN_OPEN) {
		trial->state = LADDER_GREETING;
		set_timer(
		    trial, survey->loop.now_ns + SERVED_WAIT_NS + survey->greeting_ns);
		if (survey->far != SURVEY_FAR_WITNESS) {
			begin_idleness(trial);
		} else if (survey->greets_when_asked) {
			trial->skips_line = true;
			(void)far_end_command(survey, conn, WITNESS_INFO, 0, 0);
		}
	}
	if (trial->state == LADDER_GREETING)
		read_greeting(trial);
	if (trial->state >= LADDER_IDLE && has_answer(trial)) {
		if (!goes_on(trial))
			finish_trial(trial, BRACKET_ALIVE);
	} else if (survey_conn_has_ended(conn)) {
		end_trial(trial);
	}
}

/* --- the ladder
 * ----------------------------------------------------------------------- */

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
	if (asked[SURVEY_keepalive])
		add_trial(ladder, LADDER_KEPT_BY_CLIENT, ladder->top_s);
	if (asked[SURVEY_keepalive] && is_witness)
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
	trial->state = LADDER_CONNECTING;
	trial->conn->owner = trial;
	trial->conn->on_event = on_event;
	trial->conn->on_timer = on_timer;
	set_timer(trial, survey->loop.now_ns + SERVED_WAIT_NS);
	if (trial->conn->state == SURVEY_CONN_FAILED)
		refuse_trial(trial);
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

/* The path does not serve so many connections: the ladder gives half of its own back,
 * from the last, so that other probes have room. */
static void
make_room(struct survey_ladder *ladder)
{
	uint32_t served = 0, kept = 0;
	for (uint32_t i = 0; i < ladder->trial_count; i++)
		served += ladder->trials[i].state == LADDER_IDLE;
	for (uint32_t i = 0; i < ladder->trial_count; i++) {
		struct ladder_trial *trial = &ladder->trials[i];
		if (trial->state == LADDER_IDLE && ++kept > served / 2)
			finish_trial(trial, BRACKET_UNKNOWN);
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
		/* What waits for a place at a proxy is served or given up. */
		survey_loop_sleep(&survey->loop, AFTER_LIMIT_NS);
	}
}

/* What the server noticed of a connection. */
static enum ladder_told
ask_told(struct survey *survey, struct ladder_trial *trial)
{
	struct witness_answer answer;
	if (!far_end_ask_id(survey, trial->id, trial->instance, &answer))
		return LADDER_TOLD_UNKNOWN;
	const struct witness_record *record = &answer.record;
	if (record->has_tcp && trial->kind == LADDER_KEPT_BY_CLIENT)
		trial->server_heard = record->tcp.segs_in - trial->server_segs;
	const struct witness_event *said = far_end_event(record, WITNESS_EVENT_SAID);
	/* The server's own clock knows when it spoke. */
	if (said != NULL && trial->result.fate == BRACKET_SILENCE &&
	    trial->kind == LADDER_SERVER_FIRST) {
		double before_s = (double)(trial->idle_ns - trial->conn->connected_ns) /
		    (double)NS_PER_S;
		trial->result.idle_s = (double)said->at_us / 1e6 - before_s;
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
	uint32_t asked[LADDER_ACTIVE + 1] = { 0 };
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
		survey_conn_close(&survey->loop, trial->conn);
		trial->conn = NULL;
	}
	ladder_conclude(survey);
	free(ladder);
	survey->ladder = NULL;
}
