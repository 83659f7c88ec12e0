/* reach, before, server_first: does the far end answer, how fast, and which end speaks
 * first. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/escape.h"
#include "net/connect.h"
#include "net/tcp_info.h"
#include "client/probes/far_end.h"
#include "client/probes/probes.h"
#include "client/probes/survey_tls.h"

#define REACH_COUNT 20
#define REACH_IMPLIED 4        /* where it is not asked for */
#define SECOND_CONNECTION_MS 2 /* that a first answer takes longer at least */
#define LATE_S 0.3 /* a first byte that takes longer than this, and 10 round trips */
#define SERVER_FIRST_WAIT_NS (10 * NS_PER_S)

struct reach {
	double connect_ms[REACH_COUNT], first_ms[REACH_COUNT], answer_ms[REACH_COUNT];
	size_t connected, answered;
	/* Least round-trip times of the connections that both kernels have measured. */
	double client_rtts[REACH_COUNT], server_rtts[REACH_COUNT];
	size_t measured;
	double client_rtt_ms, server_rtt_ms; /* least of all; 0: unknown */
	int error;                           /* of the last that failed */
	bool is_shaking;                     /* it was connected, and waited for TLS */
	struct witness_record record;        /* of the last one */
	bool has_record;
};

static int
compare_doubles(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double
median(double *values, size_t count)
{
	if (count == 0)
		return 0;
	qsort(values, count, sizeof(values[0]), compare_doubles);
	return values[count / 2];
}

static double
ms_between(uint64_t from_ns, uint64_t to_ns)
{
	return (double)(to_ns - from_ns) / (double)NS_PER_MS;
}

static void
least(double *to, double value)
{
	if (value > 0 && (*to <= 0 || value < *to))
		*to = value;
}

/* The witness's record tells of its round-trip time and of bytes before ours. Returns
 * the former in ms; 0: unknown. */
static double
read_record(struct survey *survey, struct survey_conn *conn, struct reach *reach)
{
	struct witness_answer answer;
	if (survey->far != SURVEY_FAR_WITNESS ||
	    !far_end_command(survey, conn, WITNESS_INFO, 0, 0) ||
	    !far_end_answer(survey, conn, far_end_patience(survey), &answer))
		return 0;
	reach->record = answer.record;
	reach->has_record = true;
	return answer.record.has_tcp ? (double)answer.record.tcp.min_rtt_us / 1000 : 0;
}

static void
note_rtts(struct reach *reach, double client_ms, double server_ms)
{
	least(&reach->client_rtt_ms, client_ms);
	least(&reach->server_rtt_ms, server_ms);
	if (client_ms <= 0 || server_ms <= 0)
		return;
	reach->client_rtts[reach->measured] = client_ms;
	reach->server_rtts[reach->measured++] = server_ms;
}

static void
reach_once(struct survey *survey, struct reach *reach)
{
	struct survey_loop *loop = &survey->loop;
	const struct survey_open open = far_end_target(survey);
	struct survey_conn *conn = survey_conn_open(loop, &open);
	struct tcp_info_view info;
	double server_ms = 0;
	if (!survey_conn_wait(loop, conn, FAR_END_PATIENCE_NS)) {
		if (conn != NULL && !survey_loop_is_over(loop)) {
			reach->error = conn->error != 0 ? conn->error : ETIMEDOUT;
			reach->is_shaking = conn->tls != NULL;
		}
		survey_conn_close(loop, conn);
		return;
	}
	reach->connect_ms[reach->connected++] =
	    ms_between(conn->opened_ns, conn->connected_ns);
	if (far_end_greet(survey, conn, NULL)) {
		uint64_t asked_ns = clock_now_ns();
		uint64_t patience_ns = far_end_patience(survey);
		if (far_end_is_alive(survey, conn, patience_ns)) {
			reach->first_ms[reach->answered] =
			    ms_between(asked_ns, loop->now_ns);
			asked_ns = clock_now_ns();
			(void)far_end_is_alive(survey, conn, patience_ns);
			reach->answer_ms[reach->answered++] =
			    ms_between(asked_ns, loop->now_ns);
			server_ms = read_record(survey, conn, reach);
		}
	}
	if (tcp_info_read(conn->stream.fd, &info) == 0)
		note_rtts(reach, (double)info.min_rtt_us / 1000, server_ms);
	survey_conn_close(loop, conn);
}

static bool
differ(double a, double b)
{
	double apart = a > b ? a - b : b - a, most = a > b ? a : b;
	return a > 0 && b > 0 && apart > 1 && apart > 0.25 * most;
}

/* Two round-trip times that differ are those of two connections. Where packets are
 * delayed by chance the least ones differ, but not the medians in the same direction.
 */
static bool
is_proxied(struct reach *reach)
{
	double client_ms = median(reach->client_rtts, reach->measured);
	double server_ms = median(reach->server_rtts, reach->measured);
	return differ(reach->client_rtt_ms, reach->server_rtt_ms) &&
	    differ(client_ms, server_ms) &&
	    (client_ms > server_ms) == (reach->client_rtt_ms > reach->server_rtt_ms);
}

/* Another server than a witness shows a second connection by its first answer, which
 * waits for the handshake there. */
static void
conclude_split(struct survey *survey, double first_ms, double answer_ms)
{
	struct survey_result *result = survey->result;
	if (!survey->plan->is_asked[SURVEY_split] ||
	    survey->far == SURVEY_FAR_WITNESS || first_ms <= 0)
		return;
	if (first_ms > answer_ms + SECOND_CONNECTION_MS && first_ms > 1.3 * answer_ms)
		survey_conclude(result, SURVEY_split, "yes", SURVEY_LIKELY,
		    "likely: the first answer took %.3g ms longer than the next; or the server is slow to begin",
		    first_ms - answer_ms);
	else
		survey_conclude(result, SURVEY_split, "unknown", SURVEY_NO_SIGN,
		    "no sign of a second connection; a proxy near its server leaves none");
}

/* True if the server answers lines; else the acknowledgement of its kernel is the
 * answer. */
static bool
is_answering(const struct survey *survey)
{
	return survey->far != SURVEY_FAR_SILENT && survey->far != SURVEY_FAR_GREETS;
}

static void
conclude_reach(struct survey *survey, struct reach *reach, uint32_t tried)
{
	struct survey_result *result = survey->result;
	struct survey_row *row = &result->rows[SURVEY_reach];
	double connect_ms = median(reach->connect_ms, reach->connected);
	double first_ms = median(reach->first_ms, reach->answered);
	double answer_ms = median(reach->answer_ms, reach->answered);
	char tcp[128] = "";
	survey_set_number(result, SURVEY_reach, "connect_ms", connect_ms);
	survey_set_number(result, SURVEY_reach, "answer_ms", answer_ms);
	survey_set_number(result, SURVEY_reach, "first_answer_ms", first_ms);
	survey_set_number(result, SURVEY_reach, "client_rtt_ms", reach->client_rtt_ms);
	if (reach->server_rtt_ms > 0) {
		survey_set_number(
		    result, SURVEY_reach, "server_rtt_ms", reach->server_rtt_ms);
		snprintf(tcp, sizeof(tcp),
		    "; minimum RTT %.3g ms (client), %.3g ms (server)%s",
		    reach->client_rtt_ms, reach->server_rtt_ms,
		    is_proxied(reach) ? ": two connections, joined by a proxy" : "");
	} else if (reach->answered > 0 && first_ms > answer_ms + SECOND_CONNECTION_MS &&
	    first_ms > 1.3 * answer_ms) {
		snprintf(tcp, sizeof(tcp),
		    "; the first answer took %.3g ms longer: likely a proxy with a connection of its own",
		    first_ms - answer_ms);
	}
	row->seen = (uint32_t)reach->answered;
	row->tried = tried;
	survey_conclude(result, SURVEY_reach,
	    reach->answered == tried  ? "yes"
		: reach->answered > 0 ? "some"
				      : "no",
	    SURVEY_SEEN, "%zu of %u; connect %.3g ms, %s %.3g ms%s", reach->answered,
	    tried, connect_ms, is_answering(survey) ? "answer" : "acknowledgement",
	    answer_ms, tcp);
	if (reach->answered == 0)
		snprintf(row->text, sizeof(row->text),
		    "%zu of %u connected, none was answered; connect %.3g ms",
		    reach->connected, tried, connect_ms);
	conclude_split(survey, first_ms, answer_ms);
	survey->answer_ns = (uint64_t)(answer_ms * (double)NS_PER_MS);
}

static void
conclude_before(struct survey *survey, const struct reach *reach)
{
	struct survey_result *result = survey->result;
	const struct witness_record *record = &reach->record;
	uint32_t kept = record->before_bytes < 60 ? record->before_bytes : 60;
	char text[128];
	if (!reach->has_record)
		return;
	if (record->before_bytes == 0) {
		survey_conclude(result, SURVEY_before, "nothing", SURVEY_PROVED,
		    "nothing arrives before our bytes");
		return;
	}
	escape_encode(record->before, kept, text, sizeof(text));
	survey_set_text(result, SURVEY_before, "bytes", text);
	survey_conclude(result, SURVEY_before, "bytes", SURVEY_PROVED,
	    "%u bytes before ours: \"%s\"", record->before_bytes, text);
	survey_mark(result, SURVEY_before,
	    "A server that does not expect them takes them for the client's first bytes. Usual setting: HAProxy \"send-proxy\", nginx \"proxy_protocol on\"; yodeld: proxy_protocol");
}

static const char *
why_not(const struct survey *survey, const struct reach *reach)
{
	int error = reach->error;
	if (survey->loop.is_interrupted)
		return "interrupted";
	if (survey->plan->tls && error == EPROTO)
		return survey_tls_failure(survey->loop.tls);
	if (survey->plan->tls && error == ETIMEDOUT && reach->is_shaking)
		return "the TLS handshake is not answered: is it a port without TLS?";
	return connect_error_text(&survey->plan->target, error);
}

void
probe_reach(struct survey *survey)
{
	struct survey_result *result = survey->result;
	struct reach reach = { .connected = 0 };
	uint32_t tried = 0;
	uint32_t count = survey->plan->asks_reach ? REACH_COUNT : REACH_IMPLIED;
	while (tried < count && !survey_loop_is_over(&survey->loop)) {
		reach_once(survey, &reach);
		tried++;
		/* Three that fail from the start need no further proof. A slow path
		 * gets fewer, so that there is time for other probes. */
		bool is_slow = survey->loop.connect_ns > NS_PER_S / 2;
		uint64_t took_ns = survey->loop.now_ns - survey->started_ns;
		if ((tried >= 3 && reach.connected == 0) || (tried >= 5 && is_slow) ||
		    (reach.answered > 0 && is_slow &&
			took_ns > survey->plan->duration_ns / 6))
			break;
	}
	if (reach.connected == 0) {
		snprintf(result->failure, sizeof(result->failure), "cannot connect: %s",
		    why_not(survey, &reach));
		return;
	}
	conclude_reach(survey, &reach, tried);
	conclude_before(survey, &reach);
}

/* --- server_first --- */

static void
conclude_server_first(
    struct survey *survey, uint32_t came, uint32_t tried, double after_s)
{
	struct survey_result *result = survey->result;
	struct survey_row *row = &result->rows[SURVEY_server_first];
	double round_s = (double)survey->answer_ns / (double)NS_PER_S;
	row->seen = came > 0 ? came : tried;
	row->tried = tried;
	if (came == 0) {
		survey_conclude(result, SURVEY_server_first, "never", SURVEY_SEEN,
		    "not within 10 s: something waits for the client's first bytes");
		survey_mark(result, SURVEY_server_first,
		    "A client that waits for the server's greeting (SMTP, SSH, MySQL) hangs. Usual setting: protocol detection of a mesh or proxy");
		return;
	}
	survey_set_number(result, SURVEY_server_first, "after_s", after_s);
	if (after_s < LATE_S + 10 * round_s) {
		survey_conclude(result, SURVEY_server_first, "at once", SURVEY_SEEN,
		    "at once (%.3g ms)", after_s * 1000);
		return;
	}
	survey_conclude(result, SURVEY_server_first, "late", SURVEY_SEEN,
	    "after %.2g s: something waits for the client's first bytes", after_s);
	survey_mark(result, SURVEY_server_first,
	    "A client that waits for the server's greeting (SMTP, SSH, MySQL) waits %.2g s each time. Usual setting: protocol detection of a mesh or proxy",
	    after_s);
}

void
probe_server_first(struct survey *survey)
{
	struct survey_loop *loop = &survey->loop;
	const struct survey_open open = far_end_target(survey);
	uint32_t came = 0, tried = 0;
	double after_s = 0;
	/* The connections wait together. */
	struct survey_conn *conns[SURVEY_REPEAT_MAX];
	uint32_t count = survey->repeats;
	for (uint32_t i = 0; i < count; i++) {
		conns[i] = survey_conn_open(loop, &open);
		(void)survey_conn_wait(loop, conns[i], FAR_END_PATIENCE_NS);
	}
	for (uint32_t i = 0; i < count; i++) {
		struct survey_conn *conn = conns[i];
		if (conn != NULL && conn->state == SURVEY_CONN_OPEN) {
			bool has_come =
			    survey_conn_wait_bytes(loop, conn, 1, SERVER_FIRST_WAIT_NS);
			if (!has_come && survey_loop_is_over(loop))
				break;
			tried++;
			if (has_come) {
				came++;
				double s =
				    ms_between(conn->connected_ns, conn->first_ns) /
				    1000;
				/* A device that waits for the client delays each
				 * greeting: take the minimum. */
				after_s = came == 1 || s < after_s ? s : after_s;
			}
		}
	}
	for (uint32_t i = 0; i < count; i++)
		survey_conn_close(loop, conns[i]);
	if (tried > 0)
		conclude_server_first(survey, came, tried, after_s);
}
