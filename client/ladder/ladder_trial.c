#include "client/ladder/ladder_trial.h"

#include <stdio.h>
#include <string.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "net/socket_info.h"
#include "net/tcp_info.h"
#include "client/probes/far_end.h"

#define SPOKEN_WAIT_NS (2500 * NS_PER_MS) /* for an answer after idleness */
#define SERVED_WAIT_NS (3 * NS_PER_S)
#define ACTIVE_NS NS_PER_S /* between messages of the active connection */

void
ladder_trial_finish(struct ladder_trial *trial, enum bracket_fate fate)
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
refuse(struct ladder_trial *trial)
{
	trial->ladder->refused++;
	ladder_trial_finish(trial, BRACKET_UNKNOWN);
}

static uint32_t
segments_in(const struct survey_conn *conn)
{
	struct tcp_info_view info;
	return tcp_info_read(conn->stream.fd, &info) < 0 ? 0 : info.segs_in;
}

/* A server without answers ends a connection when it is spoken to, rather than the path
 * for its idleness. */
static bool
ends_on_words(const struct survey *survey)
{
	return survey->far == SURVEY_FAR_GREETS ||
	    (survey->far == SURVEY_FAR_SILENT && survey->closes_itself);
}

static void
end_trial(struct ladder_trial *trial)
{
	const struct survey *survey = trial->ladder->survey;
	const struct survey_conn *conn = trial->conn;
	bool is_reset = conn->error_ns > 0;
	uint64_t at_ns = is_reset ? conn->error_ns : conn->eof_ns;
	if (trial->state < LADDER_IDLE) {
		refuse(trial);
		return;
	}
	/* A foreign server that ends on our words has heard them. */
	if (trial->state == LADDER_SPOKEN && !is_reset && ends_on_words(survey)) {
		ladder_trial_finish(trial, BRACKET_ALIVE);
		return;
	}
	trial->result.unasked = trial->state == LADDER_IDLE;
	if (trial->result.unasked)
		trial->result.idle_s = seconds_idle(trial, at_ns);
	if (trial->kind == LADDER_KEPT_BY_SERVER)
		trial->client_heard = segments_in(conn) - trial->client_segs;
	ladder_trial_finish(trial, is_reset ? BRACKET_RESET : BRACKET_FIN);
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
		refuse(trial);
		break;
	case LADDER_IDLE:
		speak(trial);
		break;
	case LADDER_SPOKEN:
		if (!is_answered(trial))
			ladder_trial_finish(trial, BRACKET_SILENCE);
		else if (!goes_on(trial))
			ladder_trial_finish(trial, BRACKET_ALIVE);
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
			ladder_trial_finish(trial, BRACKET_ALIVE);
	} else if (survey_conn_has_ended(conn)) {
		end_trial(trial);
	}
}

void
ladder_trial_start(struct ladder_trial *trial)
{
	struct survey *survey = trial->ladder->survey;
	trial->state = LADDER_CONNECTING;
	trial->conn->owner = trial;
	trial->conn->on_event = on_event;
	trial->conn->on_timer = on_timer;
	set_timer(trial, survey->loop.now_ns + SERVED_WAIT_NS);
	if (trial->conn->state == SURVEY_CONN_FAILED)
		refuse(trial);
}
