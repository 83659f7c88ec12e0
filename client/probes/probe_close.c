/* half_close, reset and their counterparts: how an end reaches the other side. */
#include <sys/socket.h>

#include <errno.h>
#include <string.h>

#include "client/probes/far_end.h"
#include "client/probes/probes.h"

#define SHORT_MS 200
#define LONG_MS 3000
#define SAY_BYTES 64
#define LATER_BYTES 1000
#define RESET_WAIT_NS (1500 * NS_PER_MS)
#define FOREIGN_BYTES (8U * 1024 * 1024)
#define FOREIGN_CHUNK 65536U
#define LINE_BYTES 64U

static double
ms_since(uint64_t from_ns, uint64_t to_ns)
{
	return to_ns > from_ns ? (double)(to_ns - from_ns) / (double)NS_PER_MS : 0;
}

/* --- half_close --- */

struct half {
	struct survey_conn *conn;
	uint64_t fin_ns, received; /* when our FIN was sent; bytes then */
	uint32_t wait_ms;          /* what the server waits */
};

enum outcome { OUTCOME_NONE, OUTCOME_PASSED, OUTCOME_CUT, OUTCOME_LOST };

static void
begin_half(struct survey *survey, struct half *half, uint32_t wait_ms)
{
	half->wait_ms = wait_ms;
	half->conn = far_end_open(survey, NULL, NULL);
	if (half->conn == NULL)
		return;
	half->received = half->conn->received;
	if (far_end_command(survey, half->conn, WITNESS_SAY, wait_ms, SAY_BYTES)) {
		half->fin_ns = clock_now_ns();
		(void)transport_finish(&half->conn->stream);
	}
}

static enum outcome
end_half(struct survey *survey, struct half *half, double *ret_after_ms)
{
	struct survey_conn *conn = half->conn;
	enum outcome outcome = OUTCOME_LOST;
	if (conn == NULL)
		return OUTCOME_NONE;
	uint64_t patience_ns = half->wait_ms * NS_PER_MS + far_end_patience(survey);
	if (survey_conn_wait_bytes(
		&survey->loop, conn, half->received + SAY_BYTES, patience_ns)) {
		outcome = OUTCOME_PASSED;
	} else if (survey_conn_has_ended(conn)) {
		outcome = OUTCOME_CUT;
		*ret_after_ms = ms_since(
		    half->fin_ns, conn->eof_ns > 0 ? conn->eof_ns : conn->error_ns);
	} else if (survey_loop_is_over(&survey->loop)) {
		outcome = OUTCOME_NONE;
	}
	survey_conn_close(&survey->loop, conn);
	return outcome;
}

#define HALF_CLOSE_ADVICE                                                              \
	"A client that ends its stream and then reads the answer gets none. Usual setting: nginx \"proxy_half_close on\", HAProxy \"timeout client-fin\""

static void
conclude_half(struct survey *survey, const uint32_t counts[], double after_ms,
    enum outcome slow, double slow_ms)
{
	struct survey_result *result = survey->result;
	struct survey_row *row = &result->rows[SURVEY_half_close];
	uint32_t passed = counts[OUTCOME_PASSED], cut = counts[OUTCOME_CUT],
		 lost = counts[OUTCOME_LOST];
	row->tried = passed + cut + lost;
	if (row->tried == 0)
		return;
	if (passed > 0 && passed >= cut + lost) {
		row->seen = passed;
		if (slow == OUTCOME_CUT) {
			survey_conclude(result, SURVEY_half_close, "passed",
			    SURVEY_SEEN,
			    "passed; but cut %.3g ms after our FIN when the answer takes 3 s",
			    slow_ms);
			survey_set_number(
			    result, SURVEY_half_close, "after_ms", slow_ms);
			survey_mark(result, SURVEY_half_close, HALF_CLOSE_ADVICE);
		} else {
			survey_conclude(result, SURVEY_half_close, "passed",
			    SURVEY_SEEN, "passed, also when the answer takes %s",
			    slow == OUTCOME_PASSED ? "3 s" : "0.2 s");
		}
		return;
	}
	row->seen = cut >= lost ? cut : lost;
	if (cut >= lost) {
		survey_set_number(result, SURVEY_half_close, "after_ms", after_ms);
		survey_conclude(result, SURVEY_half_close, "cut", SURVEY_SEEN,
		    "cut: the end came %.3g ms after our FIN, without the answer",
		    after_ms);
	} else {
		survey_conclude(result, SURVEY_half_close, "lost", SURVEY_SEEN,
		    "lost: neither the answer nor an end came");
	}
	survey_mark(result, SURVEY_half_close, HALF_CLOSE_ADVICE);
}

/* An echo server: of 8 MiB and a FIN all must come back. A short message would be back
 * before the FIN is noticed. */
static enum outcome
half_close_foreign(struct survey *survey, uint64_t *ret_missing)
{
	static uint8_t text[FOREIGN_CHUNK];
	struct survey_loop *loop = &survey->loop;
	struct survey_conn *conn = far_end_open(survey, NULL, NULL);
	uint64_t sent = 0;
	if (conn == NULL)
		return OUTCOME_NONE;
	/* Lines, for a server that cuts the stream into lines. */
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % LINE_BYTES == LINE_BYTES - 1 ? '\n' : 'x';
	conn->counts_only = true;
	while (sent < FOREIGN_BYTES) {
		size_t n = survey_conn_send_all(
		    loop, conn, text, sizeof(text), far_end_patience(survey));
		sent += n;
		if (n < sizeof(text))
			break;
	}
	(void)transport_finish(&conn->stream);
	uint64_t before;
	do {
		before = conn->received;
		(void)survey_conn_wait_bytes(
		    loop, conn, before + 1, far_end_patience(survey));
	} while (conn->received > before && conn->received < sent);
	*ret_missing = sent - conn->received;
	bool is_whole = sent == FOREIGN_BYTES && conn->received == sent;
	survey_conn_close(loop, conn);
	if (survey_loop_is_over(loop) && !is_whole)
		return OUTCOME_NONE;
	return is_whole ? OUTCOME_PASSED : OUTCOME_CUT;
}

static void
probe_half_close_foreign(struct survey *survey)
{
	struct survey_result *result = survey->result;
	struct survey_row *row = &result->rows[SURVEY_half_close];
	uint64_t missing = 0, most = 0;
	uint32_t counts[4] = { 0 };
	for (uint32_t i = 0; i < survey->repeats; i++) {
		counts[half_close_foreign(survey, &missing)]++;
		most = missing > most ? missing : most;
	}
	row->tried = counts[OUTCOME_PASSED] + counts[OUTCOME_CUT];
	if (row->tried == 0)
		return;
	row->seen = counts[OUTCOME_CUT] > 0 ? counts[OUTCOME_CUT] : row->tried;
	if (counts[OUTCOME_CUT] == 0) {
		survey_conclude(result, SURVEY_half_close, "passed", SURVEY_SEEN,
		    "passed: 8 MiB came back after our FIN");
		return;
	}
	survey_conclude(result, SURVEY_half_close, "cut", SURVEY_SEEN,
	    "cut: up to %llu of 8,388,608 bytes did not come back: path or server",
	    (unsigned long long)most);
	survey_mark(result, SURVEY_half_close, HALF_CLOSE_ADVICE);
}

void
probe_half_close(struct survey *survey)
{
	struct half halves[SURVEY_REPEAT_MAX + 1] = { { .conn = NULL } };
	uint32_t counts[4] = { 0 }, count = survey->repeats;
	double after_ms = 0, slow_ms = 0;
	if (survey->far != SURVEY_FAR_WITNESS) {
		probe_half_close_foreign(survey);
		return;
	}
	bool is_slow_asked =
	    survey_loop_has_time(&survey->loop, (LONG_MS + 1000) * NS_PER_MS);
	for (uint32_t i = 0; i < count; i++)
		begin_half(survey, &halves[i], SHORT_MS);
	if (is_slow_asked)
		begin_half(survey, &halves[count], LONG_MS);
	for (uint32_t i = 0; i < count; i++)
		counts[end_half(survey, &halves[i], &after_ms)]++;
	enum outcome slow = end_half(survey, &halves[count], &slow_ms);
	conclude_half(survey, counts, after_ms, slow, slow_ms);
}

/* --- half_close_back --- */

/* Asks until the server has our later bytes, or an end. */
static enum outcome
later_bytes_arrive(
    struct survey *survey, const struct survey_conn *conn, uint64_t least)
{
	struct witness_answer answer;
	for (int i = 0; i < 8 && !survey_loop_is_over(&survey->loop); i++) {
		if (far_end_ask(survey, conn, &answer)) {
			if (answer.record.received + answer.record.unread >= least)
				return OUTCOME_PASSED;
			if (far_end_event(&answer.record, WITNESS_EVENT_RESET) != NULL)
				return OUTCOME_CUT;
		}
		survey_loop_sleep(&survey->loop, 150 * NS_PER_MS + survey->answer_ns);
	}
	return survey_conn_has_ended(conn) && conn->error_ns > 0 ? OUTCOME_CUT
								 : OUTCOME_LOST;
}

static enum outcome
half_close_back_once(struct survey *survey, double *ret_after_ms)
{
	uint8_t later[LATER_BYTES];
	struct survey_loop *loop = &survey->loop;
	struct survey_conn *conn = far_end_open(survey, NULL, NULL);
	enum outcome outcome = OUTCOME_NONE;
	if (conn == NULL)
		return OUTCOME_NONE;
	if (far_end_command(survey, conn, WITNESS_FIN, 0, 0) &&
	    survey_conn_wait_end(loop, conn, far_end_patience(survey)) &&
	    conn->eof_ns > 0) {
		/* A path that closes both ends does so now. */
		memset(later, 'x', sizeof(later));
		survey_loop_sleep(loop, SHORT_MS * NS_PER_MS);
		(void)survey_conn_send(loop, conn, later, sizeof(later));
		outcome = later_bytes_arrive(survey, conn, conn->sent);
		survey_loop_sleep(loop, NS_PER_MS);
		if (conn->error_ns > 0)
			*ret_after_ms = ms_since(conn->eof_ns, conn->error_ns);
	}
	survey_conn_close(loop, conn);
	return survey_loop_is_over(loop) && outcome != OUTCOME_PASSED ? OUTCOME_NONE
								      : outcome;
}

void
probe_half_close_back(struct survey *survey)
{
	struct survey_result *result = survey->result;
	struct survey_row *row = &result->rows[SURVEY_half_close_back];
	uint32_t counts[4] = { 0 };
	double after_ms = 0;
	for (uint32_t i = 0; i < survey->repeats; i++)
		counts[half_close_back_once(survey, &after_ms)]++;
	uint32_t passed = counts[OUTCOME_PASSED], cut = counts[OUTCOME_CUT],
		 lost = counts[OUTCOME_LOST];
	row->tried = passed + cut + lost;
	if (row->tried == 0)
		return;
	if (passed >= cut + lost) {
		row->seen = passed;
		survey_conclude(result, SURVEY_half_close_back, "passed", SURVEY_SEEN,
		    "passed: bytes after the server's FIN arrive");
		return;
	}
	row->seen = cut >= lost ? cut : lost;
	if (after_ms > 0)
		survey_set_number(result, SURVEY_half_close_back, "after_ms", after_ms);
	survey_conclude(result, SURVEY_half_close_back, cut >= lost ? "cut" : "lost",
	    SURVEY_SEEN, "%s: bytes after the server's FIN do not arrive",
	    cut >= lost ? "cut" : "lost");
	survey_mark(result, SURVEY_half_close_back,
	    "A client that still sends when the server has ended its stream loses these bytes. Usual setting: nginx \"proxy_half_close on\"");
}

/* --- reset --- */

struct arrival {
	uint32_t resets, fins, nothing;
	double after_ms; /* of the last that came */
};

/* Resets a connection and asks what the server got. */
static void
reset_once(struct survey *survey, struct arrival *arrival)
{
	struct survey_loop *loop = &survey->loop;
	struct witness_answer answer;
	struct survey_conn *conn = far_end_open(survey, NULL, NULL);
	if (conn == NULL)
		return;
	/* Its identity outlives it. */
	struct survey_conn past = *conn;
	uint64_t reset_ns = clock_now_ns(), until_ns = reset_ns + RESET_WAIT_NS;
	double server_ms = ms_since(conn->connected_ns, reset_ns);
	survey_conn_reset(loop, conn);
	do {
		survey_loop_sleep(loop, 30 * NS_PER_MS + survey->answer_ns);
		if (!far_end_ask(survey, &past, &answer))
			continue;
		const struct witness_event *reset =
		    far_end_event(&answer.record, WITNESS_EVENT_RESET);
		const struct witness_event *fin =
		    far_end_event(&answer.record, WITNESS_EVENT_EOF);
		const struct witness_event *event = reset != NULL ? reset : fin;
		if (event == NULL)
			continue;
		arrival->resets += reset != NULL;
		arrival->fins += reset == NULL;
		double after_ms = (double)event->at_us / 1000 - server_ms;
		arrival->after_ms = after_ms > 0 ? after_ms : 0;
		return;
	} while (loop->now_ns < until_ns && !survey_loop_is_over(loop));
	arrival->nothing += !survey_loop_is_over(loop);
}

/* A lost RST is not retransmitted: of several tries any arrival counts. */
static void
conclude_reset(struct survey *survey, enum survey_row_id id,
    const struct arrival *arrival, const char *consequence)
{
	struct survey_result *result = survey->result;
	struct survey_row *row = &result->rows[id];
	row->tried = arrival->resets + arrival->fins + arrival->nothing;
	if (row->tried == 0)
		return;
	if (arrival->resets + arrival->fins == 0) {
		row->seen = arrival->nothing;
		survey_conclude(
		    result, id, "nothing", SURVEY_SEEN, "nothing arrives within 1.5 s");
		survey_mark(result, id, "%s", consequence);
		return;
	}
	survey_set_number(result, id, "after_ms", arrival->after_ms);
	if (arrival->resets > 0) {
		row->seen = arrival->resets;
		survey_conclude(result, id, "passed", SURVEY_SEEN, "passed as RST");
	} else {
		row->seen = arrival->fins;
		survey_conclude(result, id, "becomes fin", SURVEY_SEEN,
		    "becomes FIN: an abort looks like a regular end");
	}
}

void
probe_reset(struct survey *survey)
{
	struct arrival arrival = { .resets = 0 };
	for (uint32_t i = 0; i < survey->repeats; i++)
		reset_once(survey, &arrival);
	conclude_reset(survey, SURVEY_reset, &arrival,
	    "The server keeps connections of clients that have gone. Usual remedy: keepalive or an idle timeout at the server");
}

static void
reset_back_once(struct survey *survey, struct arrival *arrival)
{
	struct survey_loop *loop = &survey->loop;
	struct survey_conn *conn = far_end_open(survey, NULL, NULL);
	if (conn == NULL)
		return;
	uint64_t asked_ns = clock_now_ns();
	if (far_end_command(survey, conn, WITNESS_RST, 0, 0)) {
		(void)survey_conn_wait_end(
		    loop, conn, RESET_WAIT_NS + 2 * survey->answer_ns);
		if (conn->error_ns > 0) {
			arrival->resets++;
			arrival->after_ms = ms_since(asked_ns, conn->error_ns);
		} else if (conn->eof_ns > 0) {
			arrival->fins++;
			arrival->after_ms = ms_since(asked_ns, conn->eof_ns);
		} else {
			arrival->nothing += !survey_loop_is_over(loop);
		}
	}
	survey_conn_close(loop, conn);
}

void
probe_reset_back(struct survey *survey)
{
	struct arrival arrival = { .resets = 0 };
	for (uint32_t i = 0; i < survey->repeats; i++)
		reset_back_once(survey, &arrival);
	conclude_reset(survey, SURVEY_reset_back, &arrival,
	    "A client whose server has gone waits until its own timeout");
}
