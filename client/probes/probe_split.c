/*
 * split, split_back: a device on the path that acknowledges bytes in the place of
 * the other end (a proxy) is found by counting: the bytes that were acknowledged to one
 * end, less those that the other end's kernel has received, at a moment when nothing
 * moves because the other end does not read.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/units.h"
#include "lib/xmalloc.h"
#include "net/socket_info.h"
#include "net/tcp_info.h"
#include "client/probes/far_end.h"
#include "client/probes/probes.h"

#define HOLD_MS 1200
#define HOLD_LONG_MS 5000 /* after one that was too short */
#define CHUNK 65536
#define STALL_NS (300 * NS_PER_MS) /* without progress */
#define LEAST_BYTES 2048           /* without which nothing is proved */
/* A window that opens by a few bytes at a time is no progress. */
#define TRICKLE 4096
#define MOST_BYTES WITNESS_BYTES_MAX

struct split {
	uint64_t sent, acknowledged, received;
	double stalled_after_s;
	bool is_full;    /* MOST_BYTES were taken */
	bool is_stalled; /* nothing moved any more */
};

/* Sends until nothing more is taken and acknowledged, or `until_ns`. */
static void
send_until_stalled(struct survey *survey, struct survey_conn *conn, uint64_t until_ns,
    struct split *split)
{
	struct survey_loop *loop = &survey->loop;
	static uint8_t filler[CHUNK];
	struct tcp_info_view info;
	memset(filler, 'x', sizeof(filler));
	uint64_t started_ns = clock_now_ns(), progress_ns = started_ns;
	uint64_t stall_ns = STALL_NS + 4 * survey->answer_ns, acked = 0;
	while (loop->now_ns < until_ns && loop->now_ns < progress_ns + stall_ns &&
	    !survey_loop_is_over(loop) && conn->error_ns == 0) {
		size_t left = MOST_BYTES - split->sent;
		size_t sent =
		    survey_conn_send(loop, conn, filler, left < CHUNK ? left : CHUNK);
		split->sent += sent;
		if (sent == 0 || left == 0)
			survey_loop_sleep(loop, 5 * NS_PER_MS);
		if (tcp_info_read(conn->stream.fd, &info) < 0)
			break;
		if (info.bytes_acked > acked + TRICKLE) {
			progress_ns = loop->now_ns;
			acked = info.bytes_acked;
		}
		if (split->sent == MOST_BYTES &&
		    socket_info_unacknowledged(conn->stream.fd) == 0)
			break;
	}
	split->is_full = split->sent == MOST_BYTES;
	split->is_stalled = split->is_full || loop->now_ns >= progress_ns + stall_ns;
	split->stalled_after_s = (double)(progress_ns - started_ns) / (double)NS_PER_S;
}

/* Our bytes that this kernel has an acknowledgement for. tcpi_bytes_acked counts the
 * SYN, too. */
static uint64_t
acknowledged(const struct survey_conn *conn)
{
	return conn->sent - socket_info_unacknowledged(conn->stream.fd);
}

/* Bytes of ours that the witness's kernel had received, without those that a device on
 * the path put before them. */
static uint64_t
received_there(const struct witness_record *record)
{
	return record->received + record->unread - record->before_bytes;
}

/* One measurement towards the server, which does not read for hold_ms. */
static bool
measure(struct survey *survey, uint32_t hold_ms, struct split *ret)
{
	struct survey_loop *loop = &survey->loop;
	struct split split = { .sent = 0 };
	struct witness_answer answer;
	struct survey_conn *conn = far_end_open(survey, NULL, NULL);
	bool is_measured = false;
	if (conn == NULL)
		return false;
	hold_ms += (uint32_t)(20 * survey->answer_ns / NS_PER_MS);
	if (far_end_command(survey, conn, WITNESS_HOLD, hold_ms, 0)) {
		uint64_t until_ns =
		    clock_now_ns() + hold_ms * NS_PER_MS - 300 * NS_PER_MS;
		send_until_stalled(survey, conn, until_ns, &split);
		split.acknowledged = acknowledged(conn);
		is_measured =
		    far_end_answer(survey, conn,
			hold_ms * NS_PER_MS + far_end_patience(survey), &answer) &&
		    answer.kind == WITNESS_HOLD && answer.has_record;
	}
	if (is_measured)
		split.received = received_there(&answer.record);
	survey_conn_reset(loop, conn);
	*ret = split;
	return is_measured && split.is_stalled;
}

/* Bytes that neither end has. The last acknowledgement may be lost or late: then the
 * server has more than was acknowledged, and nothing is held. */
static uint64_t
held(const struct split *split)
{
	return split->acknowledged > split->received
	    ? split->acknowledged - split->received
	    : 0;
}

static void
set_evidence(struct survey *survey, const struct split *split)
{
	struct survey_result *result = survey->result;
	survey_set_number(
	    result, SURVEY_split, "acknowledged_bytes", (double)split->acknowledged);
	survey_set_number(
	    result, SURVEY_split, "received_bytes", (double)split->received);
	survey_set_number(result, SURVEY_split, "sent_bytes", (double)split->sent);
	survey_set_number(
	    result, SURVEY_split, "stalled_after_s", split->stalled_after_s);
}

/* Reports the measurement that held most: a buffer may fill slowly. */
static void
conclude(struct survey *survey, enum survey_row_id row, const struct split *most,
    uint32_t split_count, uint32_t measured, const char *whose, const char *where)
{
	struct survey_result *result = survey->result;
	char acked[UNITS_TEXT_MAX], there[UNITS_TEXT_MAX], bytes[UNITS_TEXT_MAX];
	uint64_t held_bytes = held(most);
	result->rows[row].tried = measured;
	result->rows[row].seen = split_count > 0 ? split_count : measured;
	survey_set_number(result, row, "held_bytes", (double)held_bytes);
	if (split_count == 0 && most->acknowledged < LEAST_BYTES) {
		survey_not_asked(result, row, "too few bytes pass: see big");
		return;
	}
	if (split_count == 0) {
		survey_conclude(result, row, "no", SURVEY_PROVED,
		    "no: %s bytes acknowledged, %s in %s kernel",
		    units_show_count(most->acknowledged, acked),
		    units_show_count(most->received, there), where);
		return;
	}
	if (most->is_full)
		survey_conclude(result, row, "yes", SURVEY_PROVED,
		    "yes: holds at least %s bytes of %s",
		    units_show_count(held_bytes, bytes), whose);
	else
		survey_conclude(result, row, "yes", SURVEY_PROVED,
		    "yes: holds %s bytes of %s, then back-pressure",
		    units_show_count(held_bytes, bytes), whose);
}

void
probe_split(struct survey *survey)
{
	struct split most = { .sent = 0 }, split;
	uint32_t measured = 0, split_count = 0, hold_ms = HOLD_MS;
	uint32_t tries = survey->repeats;
	for (uint32_t i = 0; i < tries && !survey_loop_is_over(&survey->loop); i++) {
		if (!measure(survey, hold_ms, &split)) {
			/* The first that was too short is made up for. */
			tries += hold_ms == HOLD_MS;
			hold_ms = HOLD_LONG_MS;
			continue;
		}
		measured++;
		split_count += held(&split) > 0;
		if (measured == 1 || held(&split) > held(&most))
			most = split;
	}
	if (measured == 0)
		return;
	set_evidence(survey, &most);
	conclude(
	    survey, SURVEY_split, &most, split_count, measured, "ours", "the server's");
}

/* --- back --- */

/* The server sends and we do not read, until the acknowledgements stop. */
static bool
measure_back(struct survey *survey, struct split *ret)
{
	struct survey_loop *loop = &survey->loop;
	struct split split = { .sent = 0 };
	struct witness_answer answer;
	struct tcp_info_view info;
	struct survey_conn *conn = far_end_open(survey, NULL, NULL);
	uint64_t step_ns = 3 * WITNESS_REFRESH_MS * NS_PER_MS + 4 * survey->answer_ns;
	bool is_stalled = false;
	if (conn == NULL)
		return false;
	survey_conn_pause(loop, conn, true);
	bool is_asked =
	    far_end_command(survey, conn, WITNESS_SOURCE, 0, WITNESS_BYTES_MAX);
	/* Twice the same figure: nothing moves any more. */
	for (int i = 0; is_asked && i < 10 && !is_stalled; i++) {
		survey_loop_sleep(loop, step_ns);
		if (!far_end_ask(survey, conn, &answer) || !answer.record.has_tcp ||
		    tcp_info_read(conn->stream.fd, &info) < 0)
			break;
		is_stalled = i > 0 &&
		    answer.record.tcp.bytes_acked == split.acknowledged &&
		    info.bytes_received == split.received;
		split.acknowledged = answer.record.tcp.bytes_acked;
		split.received = info.bytes_received;
		split.is_full = answer.record.unsent == 0 &&
		    answer.record.sent >= WITNESS_BYTES_MAX &&
		    answer.record.tcp.unacked == 0;
	}
	survey_conn_reset(loop, conn);
	*ret = split;
	return is_stalled;
}

void
probe_split_back(struct survey *survey)
{
	struct split most = { .sent = 0 }, split;
	struct survey_result *result = survey->result;
	uint32_t measured = 0, split_count = 0;
	for (uint32_t i = 0; i < survey->repeats && !survey_loop_is_over(&survey->loop);
	     i++) {
		if (!measure_back(survey, &split))
			continue;
		measured++;
		split_count += held(&split) > 0;
		if (measured == 1 || held(&split) > held(&most))
			most = split;
	}
	if (measured == 0)
		return;
	survey_set_number(
	    result, SURVEY_split_back, "acknowledged_bytes", (double)most.acknowledged);
	survey_set_number(
	    result, SURVEY_split_back, "received_bytes", (double)most.received);
	conclude(survey, SURVEY_split_back, &most, split_count, measured,
	    "the server's", "this");
}
