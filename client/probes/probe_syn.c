/*
 * syn: our SYN as it was sent and as it arrived. How this kernel makes a SYN is seen on
 * a listener of our own on loopback, which keeps its headers; MSS and window depend on
 * the route and come from the connection itself.
 */
#include <sys/socket.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/tcp.h>
#include <netinet/in.h>

#include "net/connect.h"
#include "net/tcp_info.h"
#include "client/probes/far_end.h"
#include "client/probes/probes.h"
#include "client/survey_result/syn_compare.h"

#define DSCP 10             /* AF11: harmless, and rarely left alone by chance */
#define TIMESTAMPS_BYTES 12 /* of a segment */
#define CLOCK_TOLERANCE_MS 3000

/* A listener on loopback that keeps SYNs. A descriptor, or -1. */
static int
open_mirror(int family, int protocol, struct address *ret)
{
	const int on = 1;
	ret->length = sizeof(ret->storage);
	struct sockaddr_in v4 = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
		.sin6_addr = IN6ADDR_LOOPBACK_INIT };
	const struct sockaddr *to = family == AF_INET ? (const struct sockaddr *)&v4
						      : (const struct sockaddr *)&v6;
	socklen_t length = family == AF_INET ? sizeof(v4) : sizeof(v6);
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		return -1;
	if (setsockopt(fd, IPPROTO_TCP, TCP_SAVE_SYN, &on, sizeof(on)) == 0 &&
	    bind(fd, to, length) == 0 && listen(fd, 4) == 0 &&
	    getsockname(fd, (struct sockaddr *)&ret->storage, &ret->length) == 0)
		return fd;
	close(fd);
	return -1;
}

/* The SYN of a socket with these options, as it arrives at loopback. */
static bool
mirror(const struct survey *survey, const struct survey_open *as, struct tcp_syn *ret)
{
	struct address at;
	uint8_t headers[TCP_SYN_MAX];
	bool is_read = false;
	int family = survey->plan->target.storage.ss_family;
	int listener = open_mirror(family, IPPROTO_TCP, &at), accepted = -1;
	if (listener < 0)
		return false;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, as->protocol);
	if (fd >= 0) {
		setsockopt(fd, family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP,
		    family == AF_INET6 ? IPV6_TCLASS : IP_TOS, &as->tos,
		    sizeof(as->tos));
		if (connect(fd, (struct sockaddr *)&at.storage, at.length) == 0)
			accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	}
	if (accepted >= 0) {
		size_t length = tcp_syn_read(accepted, headers);
		is_read = length > 0 && tcp_syn_decode(headers, length, ret);
		close(accepted);
	}
	if (fd >= 0)
		close(fd);
	close(listener);
	return is_read;
}

/* Another kernel wrote the SYN, if its time stamp does not fit this connection's clock.
 * That it fits proves nothing: a SYN proxy copies it. */
static const char *
compare_clock(const struct survey_conn *conn, const struct witness_greeting *greeting)
{
	uint32_t arrived, now;
	struct tcp_info_view info;
	if (!syn_compare_timestamp(
		greeting->syn_headers, greeting->syn_bytes, &arrived) ||
	    tcp_info_read(conn->stream.fd, &info) < 0 || !info.timestamps ||
	    tcp_info_timestamp(conn->stream.fd, &now) < 0)
		return NULL;
	int64_t age_ms = (int64_t)((clock_now_ns() - conn->opened_ns) / NS_PER_MS);
	int32_t apart = (int32_t)(now - arrived - (uint32_t)age_ms);
	return apart > CLOCK_TOLERANCE_MS || apart < -CLOCK_TOLERANCE_MS ? "another"
									 : "no sign";
}

struct syn_pair {
	struct tcp_syn sent, arrived;
	uint32_t mss_back; /* largest segment that the far end takes */
	const char *clock;
	bool ecn_agreed;
};

static bool
look(struct survey *survey, const struct survey_open *open, struct syn_pair *ret)
{
	struct witness_view view;
	struct tcp_info_view info;
	struct syn_pair pair = { .clock = NULL };
	if (!mirror(survey, open, &pair.sent))
		return false;
	struct survey_conn *conn = far_end_open(survey, open, &view);
	bool is_seen =
	    conn != NULL && view.has_syn && tcp_info_read(conn->stream.fd, &info) == 0;
	if (is_seen) {
		pair.arrived = view.syn;
		/* Time stamps are part of a segment's data there. */
		pair.sent.mss =
		    (uint16_t)(info.advmss + (info.timestamps ? TIMESTAMPS_BYTES : 0));
		pair.mss_back = info.snd_mss + (info.timestamps ? TIMESTAMPS_BYTES : 0);
		pair.ecn_agreed = info.ecn;
		pair.clock = compare_clock(conn, &view.greeting);
		*ret = pair;
	}
	survey_conn_close(&survey->loop, conn);
	return is_seen;
}

static void
set_fields(struct survey *survey, const struct syn_pair *pair,
    const struct syn_difference *difference)
{
	struct survey_result *result = survey->result;
	const struct tcp_syn *sent = &pair->sent, *arrived = &pair->arrived;
	uint32_t mss = arrived->mss < pair->mss_back ? arrived->mss : pair->mss_back;
	char text[128];
	survey_set_number(result, SURVEY_syn, "mss_sent", sent->mss);
	survey_set_number(result, SURVEY_syn, "mss_arrived", arrived->mss);
	survey_set_number(result, SURVEY_syn, "mss", mss);
	survey_set_number(result, SURVEY_syn, "ttl", arrived->ttl);
	survey_set_number(result, SURVEY_syn, "dscp_sent", sent->dscp);
	survey_set_number(result, SURVEY_syn, "dscp_arrived", arrived->dscp);
	survey_set_word(result, SURVEY_syn, "dscp",
	    difference->is_dscp_changed ? "changed" : "kept");
	survey_set_word(result, SURVEY_syn, "ecn",
	    !sent->ece             ? "not asked"
		: pair->ecn_agreed ? "agreed"
				   : "refused");
	if (difference->removed[0] != '\0')
		survey_set_text(result, SURVEY_syn, "removed", difference->removed);
	if (difference->added[0] != '\0')
		survey_set_text(result, SURVEY_syn, "added", difference->added);
	if (pair->clock != NULL)
		survey_set_word(result, SURVEY_syn, "clock", pair->clock);
	survey_set_text(result, SURVEY_syn, "sent", syn_compare_describe(sent, text));
	survey_set_text(
	    result, SURVEY_syn, "arrived", syn_compare_describe(arrived, text));
}

/* MPTCP: one more connection, whose SYN carries the option. */
static const char *
try_mptcp(struct survey *survey)
{
	struct survey_open open = far_end_target(survey);
	struct tcp_syn sent;
	struct witness_view view;
	open.protocol = IPPROTO_MPTCP;
	if (!mirror(survey, &open, &sent) || !sent.mptcp)
		return "not asked";
	struct survey_conn *conn = far_end_open(survey, &open, &view);
	const char *word = conn == NULL || !view.has_syn ? "not asked"
	    : view.syn.mptcp                             ? "kept"
							 : "removed";
	survey_conn_close(&survey->loop, conn);
	return word;
}

/* Adds a part to a text of SURVEY_TEXT_MAX bytes. */
__attribute__((format(printf, 2, 3))) static void
add(char *text, const char *format, ...)
{
	size_t length = strlen(text);
	va_list args;
	if (length > 0 && length < SURVEY_TEXT_MAX - 2)
		length +=
		    (size_t)snprintf(text + length, SURVEY_TEXT_MAX - length, "; ");
	va_start(args, format);
	vsnprintf(text + length, SURVEY_TEXT_MAX - length, format, args);
	va_end(args);
}

static void
conclude(struct survey *survey, const struct syn_pair *pair,
    const struct syn_difference *d, const char *mptcp)
{
	struct survey_result *result = survey->result;
	const struct tcp_syn *sent = &pair->sent, *arrived = &pair->arrived;
	bool other_clock = pair->clock != NULL && strcmp(pair->clock, "another") == 0;
	char text[SURVEY_TEXT_MAX] = "";
	result->rows[SURVEY_syn].seen = result->rows[SURVEY_syn].tried = 1;
	if (other_clock)
		add(text, "another kernel wrote it");
	if (arrived->mss != sent->mss)
		add(text, "MSS %u became %u", sent->mss, arrived->mss);
	if (d->removed[0] != '\0')
		add(text, "%s removed", d->removed);
	if (d->added[0] != '\0')
		add(text, "%s added", d->added);
	if (strcmp(mptcp, "removed") == 0)
		add(text, "MPTCP removed");
	if (d->is_scale_changed)
		add(text, "window scale %u became %u", (unsigned)sent->window_scale,
		    (unsigned)arrived->window_scale);
	if (d->is_dscp_changed)
		add(text, "DSCP %u became %u", sent->dscp, arrived->dscp);
	if (sent->ece && !arrived->ece)
		add(text, "ECN request cleared");
	if (text[0] != '\0' && !sent->ece)
		add(text, "ECN not asked");
	if (text[0] == '\0')
		survey_conclude(result, SURVEY_syn, "as sent", SURVEY_SEEN,
		    "as sent: MSS %u, options, DSCP %u%s", arrived->mss, arrived->dscp,
		    sent->ece ? ", ECN" : "; ECN not asked");
	else
		survey_conclude(result, SURVEY_syn, "changed",
		    other_clock ? SURVEY_LIKELY : SURVEY_SEEN, "%s", text);
}

void
probe_syn(struct survey *survey)
{
	struct survey_open open = far_end_target(survey);
	struct syn_pair pair;
	open.tos = DSCP << 2;
	if (!look(survey, &open, &pair))
		return;
	struct syn_difference difference =
	    syn_compare(&pair.sent, &pair.arrived, false);
	const char *mptcp = try_mptcp(survey);
	set_fields(survey, &pair, &difference);
	survey_set_word(survey->result, SURVEY_syn, "mptcp", mptcp);
	conclude(survey, &pair, &difference, mptcp);
}
