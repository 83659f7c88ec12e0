/* big, payload: do bytes pass, and unchanged? */
#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "net/tcp_info.h"
#include "client/probes/far_end.h"
#include "client/probes/probes.h"

#define BIG_BYTES 65536U
#define BIG_WAIT_NS (2 * NS_PER_S)
#define BISECT_WAIT_NS (700 * NS_PER_MS)
#define SMALL_BYTES 200
#define MSS_MIN 216 /* where the bisection begins */
#define HEADERS_V4 40
#define HEADERS_V6 60
#define CONFIRMED 3 /* failures of large bytes, while small ones pass */

enum direction { TO_SERVER, TO_CLIENT };

/* Bytes towards the server: it counts them. */
static bool
pass_to_server(
    struct survey *survey, struct survey_conn *conn, size_t bytes, uint64_t wait_ns)
{
	static uint8_t filler[BIG_BYTES];
	struct survey_loop *loop = &survey->loop;
	struct witness_answer answer;
	uint64_t until_ns;
	memset(filler, 'x', sizeof(filler));
	if (survey->far == SURVEY_FAR_WITNESS) {
		if (!far_end_command(survey, conn, WITNESS_SINK, 0, 0))
			return false;
	} else {
		conn->counts_only = true;
	}
	uint64_t before = conn->received;
	until_ns = clock_now_ns() + wait_ns + 4 * survey->answer_ns;
	if (survey_conn_send_all(loop, conn, filler, bytes, wait_ns) < bytes)
		return false;
	if (survey->far != SURVEY_FAR_WITNESS)
		return survey_conn_wait_bytes(loop, conn, before + bytes, wait_ns);
	do {
		survey_loop_sleep(loop, 10 * NS_PER_MS + survey->answer_ns);
		if (far_end_ask(survey, conn, &answer) &&
		    answer.record.received + answer.record.unread >= conn->sent)
			return true;
	} while (loop->now_ns < until_ns && !survey_loop_is_over(loop) &&
	    conn->error_ns == 0);
	return false;
}

static bool
pass_to_client(
    struct survey *survey, struct survey_conn *conn, size_t bytes, uint64_t wait_ns)
{
	uint64_t before = conn->received;
	return far_end_command(survey, conn, WITNESS_SOURCE, 0, (uint32_t)bytes) &&
	    survey_conn_wait_bytes(
		&survey->loop, conn, before + bytes, wait_ns + 4 * survey->answer_ns);
}

static bool
pass(struct survey *survey, struct survey_conn *conn, enum direction direction,
    size_t bytes, uint64_t wait_ns)
{
	return direction == TO_SERVER ? pass_to_server(survey, conn, bytes, wait_ns)
				      : pass_to_client(survey, conn, bytes, wait_ns);
}

/* One connection, with segments of at most `mss` (0: as usual). */
static bool
pass_once(struct survey *survey, enum direction direction, int mss, size_t bytes,
    uint64_t wait_ns)
{
	struct survey_open open = far_end_target(survey);
	open.mss = mss;
	struct survey_conn *conn = far_end_open(survey, &open, NULL);
	if (conn == NULL)
		return false;
	bool has_passed = pass(survey, conn, direction, bytes, wait_ns);
	survey_conn_reset(&survey->loop, conn);
	return has_passed;
}

struct big {
	uint32_t passed[2], failed[2];  /* tries, by direction */
	uint32_t mtu, mtu_back;         /* of the kernels, after it has passed */
	uint32_t mss_passes, mss_fails; /* of the bisection; 0: none */
};

/* Both directions of one connection each; reads the MTU that was learnt. */
static void
try_big(struct survey *survey, struct big *big)
{
	struct survey_loop *loop = &survey->loop;
	struct witness_answer answer;
	struct tcp_info_view info;
	for (int direction = TO_SERVER; direction <= TO_CLIENT; direction++) {
		if (direction == TO_CLIENT && survey->far != SURVEY_FAR_WITNESS)
			return;
		struct survey_conn *conn = far_end_open(survey, NULL, NULL);
		if (conn == NULL)
			return;
		bool has_passed = pass(
		    survey, conn, (enum direction)direction, BIG_BYTES, BIG_WAIT_NS);
		if (survey_loop_is_over(loop) && !has_passed) {
			survey_conn_reset(loop, conn);
			return;
		}
		big->passed[direction] += has_passed;
		big->failed[direction] += !has_passed;
		if (has_passed && tcp_info_read(conn->stream.fd, &info) == 0 &&
		    direction == TO_SERVER)
			big->mtu = info.pmtu;
		if (has_passed && direction == TO_CLIENT &&
		    far_end_ask(survey, conn, &answer) && answer.record.has_tcp)
			big->mtu_back = answer.record.tcp.pmtu;
		survey_conn_reset(loop, conn);
	}
}

/* The largest segment that passes. */
static void
bisect(struct survey *survey, enum direction direction, struct big *big)
{
	int low = MSS_MIN, high = 1460;
	struct tcp_info_view info;
	struct survey_conn *conn = far_end_open(survey, NULL, NULL);
	if (conn != NULL && tcp_info_read(conn->stream.fd, &info) == 0)
		high = (int)info.snd_mss + (info.timestamps ? 12 : 0);
	survey_conn_close(&survey->loop, conn);
	if (!pass_once(survey, direction, low, BIG_BYTES / 8, BIG_WAIT_NS))
		return;
	while (high - low > 1 && !survey_loop_is_over(&survey->loop)) {
		int middle = low + (high - low) / 2;
		if (pass_once(survey, direction, middle, BIG_BYTES / 8, BISECT_WAIT_NS))
			low = middle;
		else
			high = middle;
	}
	if (survey_loop_is_over(&survey->loop))
		return;
	big->mss_passes = (uint32_t)low;
	big->mss_fails = (uint32_t)high;
}

static void
conclude_hole(struct survey *survey, const struct big *big, enum direction direction)
{
	struct survey_result *result = survey->result;
	struct survey_row *row = &result->rows[SURVEY_big];
	uint32_t headers = survey->plan->target.storage.ss_family == AF_INET6
	    ? HEADERS_V6
	    : HEADERS_V4;
	const char *where = direction == TO_SERVER ? "to the server" : "to the client";
	row->seen = row->tried = big->failed[direction];
	survey_set_word(result, SURVEY_big, "direction",
	    direction == TO_SERVER ? "to server" : "to client");
	if (big->mss_passes == 0) {
		survey_conclude(result, SURVEY_big, "lost", SURVEY_SEEN,
		    "64 KiB do not pass %s, %u bytes do; the limit was not found",
		    where, SMALL_BYTES);
	} else {
		uint32_t passes = big->mss_passes + headers;
		survey_set_number(result, SURVEY_big,
		    direction == TO_SERVER ? "mtu" : "mtu_back", passes);
		survey_set_number(result, SURVEY_big, "passed_bytes", passes);
		survey_set_number(
		    result, SURVEY_big, "failed_bytes", big->mss_fails + headers);
		survey_conclude(result, SURVEY_big, "black hole", SURVEY_BOUNDED,
		    "black hole %s: packets of %u bytes pass, of %u do not, and no ICMP tells",
		    where, passes, big->mss_fails + headers);
	}
	survey_mark(result, SURVEY_big,
	    "Short messages pass, long ones hang. Usual remedy: let ICMP \"fragmentation needed\" through, clamp the MSS, or Linux net.ipv4.tcp_mtu_probing=1");
}

void
probe_big(struct survey *survey)
{
	struct survey_result *result = survey->result;
	struct survey_row *row = &result->rows[SURVEY_big];
	struct big big = { .mtu = 0 };
	uint32_t repeats = survey->repeats;
	for (uint32_t i = 0; i < repeats && !survey_loop_is_over(&survey->loop); i++) {
		try_big(survey, &big);
		/* A failure is confirmed before it counts. */
		if (big.failed[TO_SERVER] + big.failed[TO_CLIENT] > 0 &&
		    repeats < CONFIRMED)
			repeats = CONFIRMED;
	}
	for (int d = TO_SERVER; d <= TO_CLIENT; d++) {
		enum direction direction = (enum direction)d;
		if (big.failed[d] < CONFIRMED || big.passed[d] > 0 ||
		    !pass_once(survey, direction, 0, SMALL_BYTES, BIG_WAIT_NS))
			continue;
		bisect(survey, direction, &big);
		conclude_hole(survey, &big, direction);
		return;
	}
	row->tried = big.passed[TO_SERVER] + big.failed[TO_SERVER];
	row->seen = big.passed[TO_SERVER];
	if (big.passed[TO_SERVER] == 0)
		return;
	survey_set_number(result, SURVEY_big, "mtu", big.mtu);
	if (big.mtu_back > 0)
		survey_set_number(result, SURVEY_big, "mtu_back", big.mtu_back);
	if (survey->far == SURVEY_FAR_WITNESS)
		survey_conclude(result, SURVEY_big, "passed", SURVEY_SEEN,
		    "64 KiB pass in both directions; path MTU %u here, %u there",
		    big.mtu, big.mtu_back);
	else
		survey_conclude(result, SURVEY_big, "passed", SURVEY_SEEN,
		    "64 KiB pass and come back; path MTU %u here", big.mtu);
}

/* --- payload --- */

struct kind {
	const char *name;
	const char *text;
	size_t length; /* 0: strlen(text) */
	bool is_dialogue;
};

static const uint8_t tls_hello[] = { 0x16, 0x03, 0x01, 0x00, 0x31, 0x01, 0x00, 0x00,
	0x2d, 0x03, 0x03, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18,
	19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 0x00, 0x00, 0x02, 0x13,
	0x01, 0x01, 0x00, 0x00, 0x02, 0xff, 0x01 };

/* The greetings of protocols, as a middlebox may look for. %H is our address with
 * commas, as FTP writes it. */
/* clang-format off */
static const struct kind kinds[] = {
{ "plain", "hello, this is plain text\r\n", 0, false },
{ "HTTP", "GET / HTTP/1.1\r\nHost: survey.invalid\r\n\r\n", 0, false },
{ "HTTP POST", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok", 0, false },
{ "HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, false },
{ "CONNECT", "CONNECT survey.invalid:443 HTTP/1.1\r\n\r\n", 0, false },
{ "TLS", (const char *)tls_hello, sizeof(tls_hello), false },
{ "SMTP", "EHLO survey.invalid\r\nMAIL FROM:<a@survey.invalid>\r\n", 0, false },
{ "SSH", "SSH-2.0-survey\r\n", 0, false },
{ "FTP", "USER x\r\nPORT %H,200,10\r\nEPRT |1|%A|51210|\r\n", 0, true },
{ "SIP", "OPTIONS sip:a@survey.invalid SIP/2.0\r\nVia: SIP/2.0/TCP a\r\n\r\n", 0, false },
{ "RTSP", "OPTIONS rtsp://survey.invalid RTSP/1.0\r\nCSeq: 1\r\n\r\n", 0, false },
{ "PROXY", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", 0, false },
{ "Redis", "*1\r\n$4\r\nPING\r\n", 0, false },
{ "NUL", "\0\0\0\0a\0b\0\0\0\0\0\0\0\0\0", 16, false },
{ "0 to 255", NULL, 256, false },
{ "line ends", "a\rb\nc\r\nd\n\re\r\r\n\n", 0, false },
};
/* clang-format on */
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))
#define KIND_MAX 512
#define PAYLOAD_MSS 536
#define LINE_PAUSE_NS (30 * NS_PER_MS)

/* Replaces %H and %A by our address. */
static size_t
write_kind(const struct kind *kind, const struct survey_conn *conn, uint8_t *out)
{
	struct address own = { .length = sizeof(own.storage) };
	char text[ADDRESS_TEXT_MAX] = "127.0.0.1:0";
	size_t length = 0;
	if (kind->text == NULL) {
		for (size_t i = 0; i < 256; i++)
			out[i] = (uint8_t)i;
		return 256;
	}
	if (kind->length > 0) {
		memcpy(out, kind->text, kind->length);
		return kind->length;
	}
	if (getsockname(
		conn->stream.fd, (struct sockaddr *)&own.storage, &own.length) == 0 &&
	    own.storage.ss_family == AF_INET)
		address_format(&own, text);
	text[strcspn(text, ":")] = '\0';
	for (const char *at = kind->text; *at != '\0'; at++) {
		if (at[0] != '%') {
			out[length++] = (uint8_t)*at;
			continue;
		}
		at++;
		for (const char *from = text; *from != '\0'; from++)
			out[length++] =
			    (uint8_t)(*at == 'H' && *from == '.' ? ',' : *from);
	}
	return length;
}

enum passage { UNCHANGED, CHANGED, CUT, MISSING, UNKNOWN };

/* The witness takes what is no command as bytes before the first one, and tells the
 * checksum of all. */
static enum passage
judge_witness(
    struct survey *survey, struct survey_conn *conn, const uint8_t *sent, size_t length)
{
	struct witness_answer answer;
	uint64_t wait_ns = far_end_patience(survey) + survey->greeting_ns;
	uint32_t crc = witness_crc32(0, sent, length);
	if (!far_end_answer(survey, conn, wait_ns, &answer))
		return survey_conn_has_ended(conn)       ? CUT
		    : survey_loop_is_over(&survey->loop) ? UNKNOWN
							 : MISSING;
	uint64_t received = answer.record.received;
	/* Bytes that are put before ours are another row. */
	const struct survey_value *before =
	    survey_get(survey->result, SURVEY_before, "bytes");
	if (before != NULL && received > length)
		return UNCHANGED;
	return answer.record.crc32 == crc && received == length ? UNCHANGED : CHANGED;
}

static enum passage
judge_echo(
    struct survey *survey, struct survey_conn *conn, const uint8_t *sent, size_t length)
{
	if (!survey_conn_wait_bytes(
		&survey->loop, conn, length, far_end_patience(survey)))
		return survey_conn_has_ended(conn)       ? CUT
		    : survey_loop_is_over(&survey->loop) ? UNKNOWN
							 : MISSING;
	const uint8_t *got = conn->input->data + conn->input->start;
	return memcmp(got, sent, length) == 0 ? UNCHANGED : CHANGED;
}

/* A dialogue's first line is a segment of its own: helpers of FTP look at the start of
 * segments, and only after a whole line. */
static bool
send_in_parts(struct survey *survey, struct survey_conn *conn, const uint8_t *bytes,
    size_t length, bool is_dialogue)
{
	const uint8_t *end = is_dialogue ? memchr(bytes, '\n', length) : NULL;
	size_t first = end != NULL ? (size_t)(end - bytes) + 1 : 0;
	if (first > 0) {
		if (survey_conn_send(&survey->loop, conn, bytes, first) < first)
			return false;
		survey_loop_sleep(&survey->loop, LINE_PAUSE_NS + survey->answer_ns);
	}
	return survey_conn_send(&survey->loop, conn, bytes + first, length - first) ==
	    length - first;
}

static enum passage
send_kind(struct survey *survey, const struct kind *kind)
{
	static const char end[] = "\ninfo\n";
	struct survey_loop *loop = &survey->loop;
	struct survey_open open = far_end_target(survey);
	uint8_t bytes[KIND_MAX];
	bool is_witness = survey->far == SURVEY_FAR_WITNESS;
	enum passage passage = UNKNOWN;
	/* Small enough for a path with a black hole. */
	open.mss = PAYLOAD_MSS;
	struct survey_conn *conn = survey_conn_open(loop, &open);
	if (survey_conn_wait(loop, conn, FAR_END_PATIENCE_NS)) {
		size_t length = write_kind(kind, conn, bytes);
		if (is_witness) {
			memcpy(bytes + length, end, sizeof(end) - 1);
			length += sizeof(end) - 1;
		}
		if (send_in_parts(survey, conn, bytes, length, kind->is_dialogue))
			passage = is_witness
			    ? judge_witness(survey, conn, bytes, length)
			    : judge_echo(survey, conn, bytes, length);
	}
	survey_conn_close(loop, conn);
	return passage;
}

void
probe_payload(struct survey *survey)
{
	static const char *const words[] = { "unchanged", "changed", "cut", "lost" };
	static const enum passage worst_first[] = { CHANGED, CUT, MISSING };
	struct survey_result *result = survey->result;
	char affected[128] = "";
	uint32_t counts[UNKNOWN + 1] = { 0 };
	size_t length = 0;
	if (survey->is_upper) {
		survey_not_asked(result, SURVEY_payload,
		    "the server changes bytes itself (upper case)");
		return;
	}
	for (size_t i = 0; i < KINDS && !survey_loop_is_over(&survey->loop); i++) {
		enum passage passage = send_kind(survey, &kinds[i]);
		/* A loss is confirmed. */
		if (passage != UNCHANGED && passage != UNKNOWN)
			passage = send_kind(survey, &kinds[i]);
		counts[passage]++;
		if (passage != UNCHANGED && passage != UNKNOWN &&
		    length < sizeof(affected) - 1)
			length += (size_t)snprintf(affected + length,
			    sizeof(affected) - length, "%s%s %s",
			    length > 0 ? ", " : "", kinds[i].name, words[passage]);
	}
	uint32_t sent =
	    counts[UNCHANGED] + counts[CHANGED] + counts[CUT] + counts[MISSING];
	if (sent == 0)
		return;
	survey_set_number(result, SURVEY_payload, "kinds", sent);
	if (counts[UNCHANGED] == sent) {
		survey_conclude(result, SURVEY_payload, "unchanged", SURVEY_PROVED,
		    "%u kinds of first bytes unchanged on this port", sent);
		return;
	}
	const char *worst = "";
	for (size_t i = 0; i < 3 && worst[0] == '\0'; i++)
		if (counts[worst_first[i]] > 0)
			worst = words[worst_first[i]];
	survey_set_text(result, SURVEY_payload, "affected", affected);
	survey_conclude(result, SURVEY_payload, worst, SURVEY_PROVED,
	    "%s; %u others unchanged", affected, counts[UNCHANGED]);
	survey_mark(result, SURVEY_payload,
	    "Something reads the bytes of connections on this port. Usual setting: an application-level gateway (Linux nf_conntrack helpers), deep packet inspection, a proxy of a certain protocol");
}
