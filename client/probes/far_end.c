#include "client/probes/far_end.h"

#include <stdio.h>
#include <string.h>

#include "lib/log.h"
#include "lib/printable.h"
#include "net/socket_info.h"

#define REST_NS (100 * NS_PER_MS)
#define GREETING_WAIT_NS (700 * NS_PER_MS) /* before something is sent */
#define ANSWER_WAIT_NS (2 * NS_PER_S)
#define LATE_GREETING_NS (6 * NS_PER_S)
/* An asking connection that has been idle for longer may be dead: another is opened. */
#define ASKER_IDLE_NS (3 * NS_PER_S)
#define ASKER_TRIES 5
#define TLS_BEGINNING 6      /* bytes: of a record, and the type of its message */
#define TLS_WAIT_NS NS_PER_S /* for an answer to a ClientHello, and 10 round trips */

static const char foreign_line[] = "info\n";

uint64_t
far_end_patience(const struct survey *survey)
{
	return ANSWER_WAIT_NS + 10 * survey->answer_ns;
}

struct survey_open
far_end_target(const struct survey *survey)
{
	const struct survey_plan *plan = survey->plan;
	return (struct survey_open){
		.to = &plan->target,
		.from = plan->source_count > 0 ? &plan->sources[0] : NULL,
	};
}

/* The next line, at most until then: a peer that never stops talking must not keep the
 * survey beyond its end. */
static bool
wait_line_until(struct survey *survey, struct survey_conn *conn, char *line,
    size_t size, uint64_t until_ns)
{
	struct survey_loop *loop = &survey->loop;
	loop->now_ns = clock_now_ns();
	return !survey_loop_is_over(loop) && loop->now_ns < until_ns &&
	    survey_conn_wait_line(loop, conn, line, size, until_ns - loop->now_ns);
}

/* A reload or another process of the same name between two greetings. */
static void
check_generation(struct survey *survey, const struct witness_view *view)
{
	struct survey_result *result = survey->result;
	if (survey->generation == 0)
		survey->generation = view->generation;
	if (view->generation != survey->generation && result->disturbed[0] == '\0' &&
	    strcmp(view->instance, result->instance) == 0)
		snprintf(result->disturbed, sizeof(result->disturbed),
		    "the server was reloaded meanwhile (generation %u, then %u)",
		    survey->generation, view->generation);
}

bool
far_end_greet(
    struct survey *survey, struct survey_conn *conn, struct witness_view *ret_view)
{
	struct witness_view view;
	struct witness_answer answer;
	char line[WITNESS_GREETING_MAX];
	if (survey->far != SURVEY_FAR_WITNESS)
		return true;
	if (survey->greets_when_asked &&
	    !far_end_command(survey, conn, WITNESS_INFO, 0, 0))
		return false;
	uint64_t until_ns =
	    clock_now_ns() + far_end_patience(survey) + survey->greeting_ns;
	do {
		if (!wait_line_until(survey, conn, line, sizeof(line), until_ns))
			return false;
	} while (!witness_greeting_read(line, strlen(line), &view));
	witness_id_format(&view.greeting.id, conn->id);
	snprintf(conn->instance, sizeof(conn->instance), "%s", view.instance);
	check_generation(survey, &view);
	if (ret_view != NULL)
		*ret_view = view;
	return !survey->greets_when_asked ||
	    far_end_answer(survey, conn, far_end_patience(survey), &answer);
}

struct survey_conn *
far_end_open(struct survey *survey, const struct survey_open *open,
    struct witness_view *ret_view)
{
	const struct survey_open target = far_end_target(survey);
	struct survey_loop *loop = &survey->loop;
	struct survey_conn *conn =
	    survey_conn_open(loop, open != NULL ? open : &target);
	if (conn == NULL)
		return NULL;
	if (survey_conn_wait(loop, conn, FAR_END_PATIENCE_NS) &&
	    far_end_greet(survey, conn, ret_view))
		return conn;
	survey_conn_close(loop, conn);
	return NULL;
}

bool
far_end_command(struct survey *survey, struct survey_conn *conn,
    enum witness_command_kind kind, uint32_t wait_ms, uint32_t bytes)
{
	const struct witness_command command = {
		.kind = kind, .wait_ms = wait_ms, .bytes = bytes
	};
	char line[WITNESS_LINE_MAX];
	size_t length = witness_command_format(&command, line);
	return survey_conn_send(&survey->loop, conn, line, length) == length;
}

/* Lines that are no answer are bytes that the server was told to say. */
bool
far_end_answer(struct survey *survey, struct survey_conn *conn, uint64_t timeout_ns,
    struct witness_answer *ret)
{
	char line[WITNESS_ANSWER_MAX];
	uint64_t until_ns = clock_now_ns() + timeout_ns;
	while (wait_line_until(survey, conn, line, sizeof(line), until_ns)) {
		if (witness_answer_read(line, strlen(line), ret))
			return true;
	}
	return false;
}

static void
close_asker(struct survey *survey)
{
	survey_conn_close(&survey->loop, survey->asker);
	survey->asker = NULL;
}

/* A connection to that server: behind a balancer it may take several. */
static bool
open_asker(struct survey *survey, const char *instance)
{
	if (survey->asker != NULL &&
	    (survey_conn_has_ended(survey->asker) ||
		survey->loop.now_ns > survey->asker->last_ns + ASKER_IDLE_NS ||
		strcmp(survey->asker->instance, instance) != 0))
		close_asker(survey);
	for (int i = 0; i < ASKER_TRIES && survey->asker == NULL; i++) {
		survey->asker = far_end_open(survey, NULL, NULL);
		if (survey->asker != NULL &&
		    strcmp(survey->asker->instance, instance) != 0)
			close_asker(survey);
	}
	return survey->asker != NULL;
}

bool
far_end_ask_id(struct survey *survey, const char *id, const char *instance,
    struct witness_answer *ret)
{
	struct witness_command command = { .kind = WITNESS_ASK };
	char line[WITNESS_LINE_MAX];
	if (!witness_id_parse(id, strlen(id), &command.id) ||
	    !open_asker(survey, instance))
		return false;
	size_t length = witness_command_format(&command, line);
	if (survey_conn_send(&survey->loop, survey->asker, line, length) == length &&
	    far_end_answer(survey, survey->asker, far_end_patience(survey), ret))
		return ret->has_record;
	close_asker(survey);
	return false;
}

bool
far_end_ask(
    struct survey *survey, const struct survey_conn *conn, struct witness_answer *ret)
{
	return far_end_ask_id(survey, conn->id, conn->instance, ret);
}

const struct witness_event *
far_end_event(const struct witness_record *record, enum witness_event_kind kind)
{
	for (uint32_t i = 0; i < record->event_count; i++)
		if (record->events[i].kind == (uint32_t)kind)
			return &record->events[i];
	return NULL;
}

bool
far_end_speak(struct survey *survey, struct survey_conn *conn)
{
	return survey_conn_send(&survey->loop, conn, foreign_line,
		   sizeof(foreign_line) - 1) == sizeof(foreign_line) - 1;
}

static bool
is_acknowledged(const void *argument)
{
	const struct survey_conn *conn = argument;
	return socket_info_unacknowledged(conn->stream.fd) == 0 ||
	    survey_conn_has_ended(conn);
}

bool
far_end_is_alive(struct survey *survey, struct survey_conn *conn, uint64_t timeout_ns)
{
	uint64_t before = conn->received;
	if (!far_end_speak(survey, conn))
		return false;
	switch (survey->far) {
	case SURVEY_FAR_WITNESS:
	case SURVEY_FAR_ANSWERS:
		return survey_conn_wait_bytes(
		    &survey->loop, conn, before + 1, timeout_ns);
	case SURVEY_FAR_ECHO:
		return survey_conn_wait_bytes(
		    &survey->loop, conn, before + sizeof(foreign_line) - 1, timeout_ns);
	default:
		return survey_loop_wait(
			   &survey->loop, timeout_ns, is_acknowledged, conn) &&
		    conn->error_ns == 0;
	}
}

/* --- what answers there --- */

static bool
equals_ignoring_case(const struct survey_conn *conn, bool *ret_is_upper)
{
	const size_t length = sizeof(foreign_line) - 1;
	if (buffer_length(conn->input) != length)
		return false;
	const char *got = (const char *)conn->input->data + conn->input->start;
	*ret_is_upper = got[0] == 'I';
	return strncasecmp(got, foreign_line, length) == 0;
}

/* A witness of a yodeld that is older or newer. */
static void
recognise_other_version(struct survey *survey, const char *line)
{
	struct survey_result *result = survey->result;
	uint32_t version = witness_greeting_version(line, strlen(line));
	if (version == 0)
		return;
	survey->far = SURVEY_FAR_GREETS;
	snprintf(result->server, sizeof(result->server),
	    "a witness of version %u; this yodel expects %d: update the older program",
	    version, WITNESS_VERSION);
}

static void
recognise_witness(struct survey *survey, struct survey_conn *conn)
{
	struct survey_result *result = survey->result;
	struct witness_view view;
	char line[WITNESS_GREETING_MAX];
	/* Bytes of another server stay where they are. */
	if (buffer_length(conn->input) == 0 ||
	    conn->input->data[conn->input->start] != '{' ||
	    !survey_conn_take_line(conn, line, sizeof(line)))
		return;
	if (!witness_greeting_read(line, strlen(line), &view)) {
		recognise_other_version(survey, line);
		return;
	}
	survey->far = SURVEY_FAR_WITNESS;
	survey->generation = result->generation = view.generation;
	result->is_witness = true;
	result->witness_version = WITNESS_VERSION;
	result->witness_idle_s = (double)view.greeting.idle_ms / 1000;
	snprintf(result->instance, sizeof(result->instance), "%s", view.instance);
	snprintf(result->server, sizeof(result->server), "a yodeld witness, \"%s\"",
	    view.instance);
}

/* Its first line, safe to print. */
static void
describe(struct survey *survey, const struct survey_conn *conn, const char *what)
{
	struct survey_result *result = survey->result;
	char first[64] = "", safe[64];
	size_t length = buffer_length(conn->input);
	if (length > sizeof(first) - 1)
		length = sizeof(first) - 1;
	if (length > 0)
		memcpy(first, conn->input->data + conn->input->start, length);
	first[length] = '\0';
	first[strcspn(first, "\r\n")] = '\0';
	printable_escape(first, safe, 48);
	snprintf(result->server, sizeof(result->server), "%s (\"%s\")", what, safe);
}

/* Whether it begins like a record with an alert or a ServerHello (RFC 8446, 4 and 5.1).
 */
static bool
begins_like_tls(const struct survey_conn *conn)
{
	const struct buffer *input = conn->input;
	if (buffer_length(input) < TLS_BEGINNING)
		return false;
	const uint8_t *at = input->data + input->start;
	return at[1] == 0x03 && at[2] <= 0x04 &&
	    (at[0] == 0x15 || (at[0] == 0x16 && at[5] == 0x02));
}

/* A ClientHello with three suites and no extensions: a server that speaks TLS answers
 * it, if only by an alert. */
static bool
answers_hello(struct survey *survey)
{
	static const uint8_t hello[] = { 0x16, 0x03, 0x01, 0x00, 0x33, 0x01, 0x00, 0x00,
		0x2f, 0x03, 0x03, 's', 'u', 'r', 'v', 'e', 'y', ' ', 'o', 'f', ' ', 'a',
		' ', 'p', 'a', 't', 'h', ' ', 'b', 'y', ' ', 'y', 'o', 'd', 'e', 'l',
		' ', '(', '1', ')', '.', '.', '.', 0x00, 0x00, 0x06, 0x13, 0x01, 0xc0,
		0x2f, 0x00, 0x9c, 0x01, 0x00, 0x00, 0x00 };
	struct survey_loop *loop = &survey->loop;
	const struct survey_open open = far_end_target(survey);
	struct survey_conn *conn = survey_conn_open(loop, &open);
	bool is_tls = false;
	if (survey_conn_wait(loop, conn, FAR_END_PATIENCE_NS)) {
		uint64_t round_ns = conn->connected_ns - conn->opened_ns;
		(void)survey_conn_send(loop, conn, hello, sizeof(hello));
		(void)survey_conn_wait_bytes(
		    loop, conn, TLS_BEGINNING, TLS_WAIT_NS + 10 * round_ns);
		is_tls = begins_like_tls(conn);
	}
	survey_conn_close(loop, conn);
	return is_tls;
}

/* Told at once, because another survey is wanted. */
static bool
recognise_tls(struct survey *survey, const struct survey_conn *conn)
{
	struct survey_result *result = survey->result;
	if (survey->plan->tls || (!begins_like_tls(conn) && !answers_hello(survey)))
		return false;
	snprintf(result->server, sizeof(result->server),
	    "a server that speaks TLS, surveyed without: use --tls");
	log_warnx("%s speaks TLS: use --tls, or most questions have no answer",
	    result->target);
	return true;
}

static void
recognise_foreign(struct survey *survey, struct survey_conn *conn)
{
	struct survey_result *result = survey->result;
	if (equals_ignoring_case(conn, &survey->is_upper)) {
		survey->far = SURVEY_FAR_ECHO;
		snprintf(result->server, sizeof(result->server),
		    survey->is_upper ? "an echo server (in upper case)"
				     : "an echo server");
		return;
	}
	survey->far = conn->received == 0 ? SURVEY_FAR_SILENT : SURVEY_FAR_ANSWERS;
	if (recognise_tls(survey, conn))
		return;
	if (survey->far == SURVEY_FAR_SILENT)
		snprintf(result->server, sizeof(result->server),
		    "a server that has answered nothing");
	else
		describe(survey, conn, "no witness and no echo server");
}

/* Waits for a greeting; a far end that stays silent is spoken to. */
void
far_end_recognise(struct survey *survey)
{
	struct survey_loop *loop = &survey->loop;
	const struct survey_open open = far_end_target(survey);
	struct survey_conn *conn = survey_conn_open(loop, &open);
	if (!survey_conn_wait(loop, conn, FAR_END_PATIENCE_NS)) {
		survey_conn_close(loop, conn);
		return;
	}
	bool speaks_first = survey_conn_wait_bytes(loop, conn, 1, GREETING_WAIT_NS);
	uint64_t waited_ns = conn->connected_ns;
	if (!speaks_first) {
		waited_ns = clock_now_ns();
		(void)far_end_speak(survey, conn);
		(void)survey_conn_wait_bytes(loop, conn, 1, LATE_GREETING_NS);
	}
	survey_loop_sleep(loop, REST_NS); /* the rest of what it says */
	recognise_witness(survey, conn);
	survey->greets_when_asked = survey->far == SURVEY_FAR_WITNESS && !speaks_first;
	if (survey->far == SURVEY_FAR_WITNESS)
		survey->greeting_ns = conn->first_ns - waited_ns;
	if (survey->far == SURVEY_FAR_UNKNOWN && speaks_first) {
		survey->far = SURVEY_FAR_GREETS;
		describe(survey, conn, "a server that speaks first, no witness");
		(void)far_end_speak(survey, conn);
		survey_loop_sleep(loop, REST_NS);
	} else if (survey->far == SURVEY_FAR_UNKNOWN) {
		recognise_foreign(survey, conn);
	}
	survey->closes_itself = survey_conn_has_ended(conn);
	survey_conn_close(loop, conn);
}
