/* hops: where do the SYN and our bytes end? From the TTL of packets in each direction.
 */
#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <linux/errqueue.h>
#include <netinet/in.h>

#include "client/probes/far_end.h"
#include "client/probes/probes.h"

#define TTL_MAX 30
#define TTL_STEP 6 /* SYNs of different TTL at a time */
#define TTL_WAIT_NS (800 * NS_PER_MS)
#define BACK_WAIT_NS (250 * NS_PER_MS)
#define ROUTERS_MAX 100 /* bytes of their addresses */

/* The address that reported an expired TTL, from the socket's error queue (ip(7),
 * IP_RECVERR). */
static bool
read_router(const struct survey_conn *conn, char text[ADDRESS_TEXT_MAX])
{
	char control[512], data[64];
	struct iovec iov = { data, sizeof(data) };
	struct msghdr message = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	if (conn->stream.fd < 0 ||
	    recvmsg(conn->stream.fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL;
	     c = CMSG_NXTHDR(&message, c)) {
		struct sock_extended_err error;
		struct address from = { .length = sizeof(from.storage) };
		bool v4 = c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR;
		bool v6 = c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_RECVERR;
		if (!v4 && !v6)
			continue;
		memcpy(&error, CMSG_DATA(c), sizeof(error));
		if (error.ee_origin != SO_EE_ORIGIN_ICMP &&
		    error.ee_origin != SO_EE_ORIGIN_ICMP6)
			continue;
		size_t bytes = v4 ? sizeof(from.in) : sizeof(from.in6);
		memcpy(&from.storage, CMSG_DATA(c) + sizeof(error), bytes);
		address_set_port(&from, 0);
		address_format(&from, text);
		char *port = strrchr(text, ':');
		if (port != NULL)
			*port = '\0';
		return true;
	}
	return false;
}

struct routers {
	char text[ROUTERS_MAX];
};

static void
add_router(struct routers *routers, int ttl, const struct survey_conn *conn)
{
	char address[ADDRESS_TEXT_MAX];
	size_t length = strlen(routers->text);
	if (read_router(conn, address) &&
	    length + strlen(address) + 8 < sizeof(routers->text))
		snprintf(routers->text + length, sizeof(routers->text) - length,
		    "%s%d %.64s", length > 0 ? ", " : "", ttl, address);
}

struct group {
	struct survey_conn *conns[TTL_STEP];
};

/* True when one is established or all have failed. */
static bool
is_decided(const void *argument)
{
	const struct group *group = argument;
	bool is_open = false, is_waiting = false;
	for (int i = 0; i < TTL_STEP; i++) {
		const struct survey_conn *conn = group->conns[i];
		if (conn != NULL && conn->state == SURVEY_CONN_OPEN)
			is_open = true;
		else if (conn != NULL && conn->state == SURVEY_CONN_CONNECTING &&
		    !is_open)
			is_waiting = true;
	}
	return !is_waiting;
}

/* The least TTL of first .. first + TTL_STEP - 1 with which a SYN is answered; 0: none.
 */
static int
try_group(struct survey *survey, int first, struct routers *routers)
{
	struct survey_loop *loop = &survey->loop;
	struct survey_open open = far_end_target(survey);
	struct group group = { { NULL } };
	int found = 0;
	open.may_fail = true;
	for (int i = 0; i < TTL_STEP; i++) {
		open.ttl = first + i;
		group.conns[i] = survey_conn_open(loop, &open);
		if (group.conns[i] != NULL && group.conns[i]->state == SURVEY_CONN_OPEN)
			break;
	}
	(void)survey_loop_wait(
	    loop, TTL_WAIT_NS + 2 * loop->connect_ns, is_decided, &group);
	for (int i = 0; i < TTL_STEP; i++) {
		struct survey_conn *conn = group.conns[i];
		if (conn == NULL)
			continue;
		if (found == 0 && conn->state == SURVEY_CONN_OPEN)
			found = first + i;
		else if (found == 0)
			add_router(routers, first + i, conn);
		survey_conn_close(loop, conn);
	}
	return found;
}

/* --- back: the TTL of what comes from the far end --- */

/* True if packets of at least this TTL come back: what has less is dropped by this
 * kernel (ip(7), IP_MINTTL). */
static bool
comes_with(struct survey *survey, struct survey_conn **conn, int ttl)
{
	bool v6 = survey->plan->target.storage.ss_family == AF_INET6;
	if (*conn == NULL)
		*conn = far_end_open(survey, NULL, NULL);
	if (*conn == NULL)
		return false;
	setsockopt((*conn)->stream.fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
	    v6 ? IPV6_MINHOPCOUNT : IP_MINTTL, &ttl, sizeof(ttl));
	if (far_end_is_alive(survey, *conn, BACK_WAIT_NS + 3 * survey->answer_ns))
		return true;
	survey_conn_close(&survey->loop, *conn);
	*conn = NULL;
	return false;
}

/* 0: unknown. */
static int
find_back_ttl(struct survey *survey)
{
	struct survey_conn *conn = NULL;
	int low = 1, high = 256; /* low passes, high does not */
	if (!comes_with(survey, &conn, low))
		return 0;
	while (high - low > 1 && !survey_loop_is_over(&survey->loop)) {
		int middle = low + (high - low) / 2;
		if (comes_with(survey, &conn, middle))
			low = middle;
		else
			high = middle;
	}
	survey_conn_close(&survey->loop, conn);
	return survey_loop_is_over(&survey->loop) ? 0 : low;
}

/* Systems begin with 32, 64, 128 or 255. */
static int
routers_passed(int ttl)
{
	static const int starts[] = { 32, 64, 128, 255 };
	size_t i = 0;
	while (starts[i] < ttl)
		i++;
	return starts[i] - ttl;
}

/* The TTL that this host's SYNs begin with. */
static int
own_ttl(const struct survey_conn *conn, bool v6)
{
	int ttl = 0;
	socklen_t length = sizeof(ttl);
	if (getsockopt(conn->stream.fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
		v6 ? IPV6_UNICAST_HOPS : IP_TTL, &ttl, &length) < 0)
		return 0;
	return ttl;
}

/* Routers that our SYN had passed when it reached the server; -1: unknown. */
static int
server_hops(struct survey *survey, int *ret_ttl)
{
	struct witness_view view;
	bool v6 = survey->plan->target.storage.ss_family == AF_INET6;
	int hops = -1;
	if (survey->far != SURVEY_FAR_WITNESS)
		return -1;
	struct survey_conn *conn = far_end_open(survey, NULL, &view);
	if (conn != NULL && view.has_syn) {
		*ret_ttl = view.syn.ttl;
		hops = own_ttl(conn, v6) - view.syn.ttl;
	}
	survey_conn_close(&survey->loop, conn);
	return hops;
}

static void
conclude(struct survey *survey, int syn, int back_ttl, const struct routers *routers)
{
	struct survey_result *result = survey->result;
	int server_ttl = 0, server = server_hops(survey, &server_ttl);
	int back = back_ttl > 0 ? routers_passed(back_ttl) : -1;
	char text[160];
	result->rows[SURVEY_hops].seen = result->rows[SURVEY_hops].tried = 1;
	survey_set_number(result, SURVEY_hops, "syn_hops", syn);
	if (back >= 0) {
		survey_set_number(result, SURVEY_hops, "back_hops", back);
		survey_set_number(result, SURVEY_hops, "back_ttl", back_ttl);
	}
	if (server_ttl > 0)
		survey_set_number(result, SURVEY_hops, "server_hops", server);
	if (routers->text[0] != '\0')
		survey_set_text(result, SURVEY_hops, "routers", routers->text);
	snprintf(text, sizeof(text), "%s%shop %d answers", routers->text,
	    routers->text[0] != '\0' ? ", " : "", syn);
	bool differs =
	    (back >= 0 && back != syn - 1) || (server_ttl > 0 && server != syn - 1);
	if (back < 0 && server_ttl == 0)
		survey_conclude(result, SURVEY_hops, "unknown", SURVEY_SEEN,
		    "%s; nothing more is known", text);
	else if (!differs)
		survey_conclude(result, SURVEY_hops, "agree", SURVEY_SEEN, "%s; %s",
		    text,
		    server_ttl > 0 ? "SYN, bytes and the server's view agree"
				   : "bytes come from there too");
	else if (back < 0 || server_ttl == 0)
		survey_conclude(result, SURVEY_hops, "differ", SURVEY_SEEN,
		    "%s; routers passed: %s %d: TTL changed, or another end", text,
		    back < 0 ? "by the server's view" : "back",
		    back < 0 ? server : back);
	else
		survey_conclude(result, SURVEY_hops, "differ", SURVEY_SEEN,
		    "%s; routers passed: back %d, by the server's view %d: TTL changed, or another end",
		    text, back, server);
}

void
probe_hops(struct survey *survey)
{
	struct routers routers = { "" };
	int syn = 0;
	for (int first = 1;
	     syn == 0 && first <= TTL_MAX && !survey_loop_is_over(&survey->loop);
	     first += TTL_STEP)
		syn = try_group(survey, first, &routers);
	if (syn == 0) {
		survey_not_asked(survey->result, SURVEY_hops,
		    "no SYN with a TTL up to %d was answered", TTL_MAX);
		return;
	}
	conclude(survey, syn, find_back_ttl(survey), &routers);
}
