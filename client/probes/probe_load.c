/*
 * load: bytes at full speed. A policer drops, and the round-trip time stays; a queue
 * lets it grow, and drops little. Which of them it is can only be inferred.
 */
#include <stdio.h>
#include <string.h>

#include "net/tcp_info.h"
#include "client/probes/far_end.h"
#include "client/probes/probes.h"

#define CHUNK 65536
#define SAMPLE_NS (50 * NS_PER_MS)
#define WARM_UP_NS (500 * NS_PER_MS) /* a bucket that is full lets the first pass */
#define LOSS_MANY 0.005              /* retransmits for each segment sent */
#define RTT_GROWS_MS 15.0

struct load {
	double mbit_s, mbit_s_back;
	double rtt_ms; /* median of the samples */
	uint32_t retransmits, segments;
};

/* Towards the server: what was acknowledged after the warm-up. */
static bool
send_load(
    struct survey *survey, struct survey_conn *conn, uint64_t ns, struct load *load)
{
	static uint8_t filler[CHUNK];
	struct survey_loop *loop = &survey->loop;
	struct tcp_info_view info, warm = { .bytes_acked = 0 };
	uint64_t started_ns = clock_now_ns(), next_ns = started_ns + WARM_UP_NS;
	double rtt_sum = 0;
	uint32_t samples = 0;
	memset(filler, 'x', sizeof(filler));
	while (loop->now_ns < started_ns + ns && !survey_loop_is_over(loop)) {
		(void)survey_conn_send_all(loop, conn, filler, CHUNK, SAMPLE_NS);
		if (conn->error_ns > 0 || tcp_info_read(conn->stream.fd, &info) < 0)
			return false;
		if (loop->now_ns < next_ns)
			continue;
		if (samples == 0)
			warm = info;
		rtt_sum += (double)info.rtt_us / 1000;
		samples++;
		next_ns = loop->now_ns + SAMPLE_NS;
	}
	double seconds =
	    (double)(loop->now_ns - started_ns - WARM_UP_NS) / (double)NS_PER_S;
	if (samples < 2 || seconds <= 0)
		return false;
	load->mbit_s =
	    (double)(info.bytes_acked - warm.bytes_acked) * 8 / 1e6 / seconds;
	load->rtt_ms = rtt_sum / samples;
	load->retransmits = info.retransmits;
	load->segments = info.segs_out;
	return true;
}

/* Towards us: the server sends its most, again and again. */
static bool
receive_load(
    struct survey *survey, struct survey_conn *conn, uint64_t ns, struct load *load)
{
	struct survey_loop *loop = &survey->loop;
	uint64_t started_ns = clock_now_ns(), before = conn->received;
	conn->counts_only = true;
	while (loop->now_ns < started_ns + ns && !survey_loop_is_over(loop)) {
		uint64_t want = conn->received + WITNESS_BYTES_MAX;
		if (!far_end_command(
			survey, conn, WITNESS_SOURCE, 0, WITNESS_BYTES_MAX))
			return false;
		uint64_t left_ns =
		    started_ns + ns > loop->now_ns ? started_ns + ns - loop->now_ns : 0;
		(void)survey_conn_wait_bytes(loop, conn, want, left_ns);
		if (survey_conn_has_ended(conn))
			return false;
	}
	load->mbit_s_back = (double)(conn->received - before) * 8 / 1e6 /
	    ((double)(loop->now_ns - started_ns) / (double)NS_PER_S);
	return true;
}

static void
conclude(struct survey *survey, const struct load *load, double rtt_idle_ms)
{
	struct survey_result *result = survey->result;
	double loss =
	    load->segments > 0 ? (double)load->retransmits / load->segments : 0;
	bool grows = load->rtt_ms > rtt_idle_ms + RTT_GROWS_MS;
	const char *class = grows ? "queue"
	    : loss >= LOSS_MANY   ? "policer"
				  : "no limit";
	survey_set_number(result, SURVEY_load, "mbit_s", load->mbit_s);
	survey_set_number(result, SURVEY_load, "mbit_s_back", load->mbit_s_back);
	survey_set_number(result, SURVEY_load, "rtt_ms", load->rtt_ms);
	survey_set_number(result, SURVEY_load, "rtt_idle_ms", rtt_idle_ms);
	survey_set_number(result, SURVEY_load, "retransmits", load->retransmits);
	if (strcmp(class, "no limit") == 0)
		survey_conclude(result, SURVEY_load, class, SURVEY_NO_SIGN,
		    "%.1f Mbit/s there, %.1f back; RTT %.3g ms; no sign of a limit, but CPU or receiver may be one",
		    load->mbit_s, load->mbit_s_back, load->rtt_ms);
	else
		survey_conclude(result, SURVEY_load, class, SURVEY_LIKELY,
		    "%.1f Mbit/s there, %.1f back; RTT %.3g ms, before %.3g; %u retransmits: likely a %s, or a lossy link",
		    load->mbit_s, load->mbit_s_back, load->rtt_ms, rtt_idle_ms,
		    load->retransmits, class);
}

void
probe_load(struct survey *survey)
{
	struct survey_loop *loop = &survey->loop;
	struct load load = { .mbit_s = 0 };
	const struct survey_value *rtt =
	    survey_get(survey->result, SURVEY_reach, "client_rtt_ms");
	uint64_t ns = survey->plan->load_ns;
	if (!survey_loop_has_time(loop, 2 * ns + NS_PER_S)) {
		survey_not_asked(survey->result, SURVEY_load, "not enough time");
		return;
	}
	struct survey_conn *conn = far_end_open(survey, NULL, NULL);
	bool is_done = conn != NULL &&
	    far_end_command(survey, conn, WITNESS_SINK, 0, 0) &&
	    send_load(survey, conn, ns, &load);
	survey_conn_reset(loop, conn);
	conn = is_done ? far_end_open(survey, NULL, NULL) : NULL;
	is_done = conn != NULL && receive_load(survey, conn, ns, &load);
	survey_conn_reset(loop, conn);
	if (is_done)
		conclude(survey, &load, rtt != NULL ? rtt->number : 0);
}
