/* source, backends, mapping, reuse: what the server sees of our addresses and ports. */
#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/probes/far_end.h"
#include "client/probes/probes.h"

#define SOURCE_COUNT 40
#define NAMES_MAX 16
#define MAPPING_COUNT 10
#define MAPPING_FAILURES_MAX 3 /* in a row, from the start */
#define REUSE_COUNT 5
#define PORT_TRIES 20

struct server {
	char name[WHOAMI_INSTANCE_MAX + 1];
	uint32_t connections;
	uint32_t by_source[SURVEY_SOURCES_MAX];
};

struct seen {
	uint32_t count, ports_kept, addresses_kept;
	struct address_compact addresses[NAMES_MAX]; /* different ones, without ports */
	uint32_t address_count;
	struct server servers[NAMES_MAX];
	uint32_t server_count;
	uint32_t sources;           /* local addresses that were used */
	struct address_compact own; /* of the last connection */
};

static bool
same_host(const struct address_compact *a, const struct address_compact *b)
{
	return a->family == b->family &&
	    memcmp(a->bytes, b->bytes, a->family == AF_INET6 ? 16 : 4) == 0;
}

static void
host_text(const struct address_compact *address, char text[ADDRESS_TEXT_MAX])
{
	struct address_compact host = *address;
	host.port = 0;
	address_format_compact(&host, text);
	char *port = strrchr(text, ':');
	if (port != NULL)
		*port = '\0';
}

static void
own_address(const struct survey_conn *conn, struct address_compact *ret)
{
	struct address own = { .length = sizeof(own.storage) };
	if (getsockname(conn->stream.fd, (struct sockaddr *)&own.storage, &own.length) <
	    0)
		own = (struct address){ .in.sin_family = AF_INET };
	address_compact(&own, ret);
}

static void
note_address(struct seen *seen, const struct address_compact *address)
{
	uint32_t i = 0;
	while (i < seen->address_count && !same_host(&seen->addresses[i], address))
		i++;
	if (i == seen->address_count && i < NAMES_MAX)
		seen->addresses[seen->address_count++] = *address;
}

static void
note_server(struct seen *seen, const char *name, uint32_t source)
{
	uint32_t i = 0;
	while (i < seen->server_count && strcmp(seen->servers[i].name, name) != 0)
		i++;
	if (i == NAMES_MAX)
		return;
	if (i == seen->server_count) {
		seen->server_count++;
		snprintf(
		    seen->servers[i].name, sizeof(seen->servers[i].name), "%s", name);
	}
	seen->servers[i].connections++;
	seen->servers[i].by_source[source]++;
}

/* One connection from a source address. */
static void
look(struct survey *survey, struct seen *seen, uint32_t source)
{
	struct survey_open open = far_end_target(survey);
	struct witness_view view;
	struct address_compact own;
	if (survey->plan->source_count > 0)
		open.from = &survey->plan->sources[source];
	struct survey_conn *conn = far_end_open(survey, &open, &view);
	if (conn == NULL)
		return;
	own_address(conn, &own);
	seen->own = own;
	seen->count++;
	seen->ports_kept += own.port == view.peer.port;
	seen->addresses_kept += same_host(&own, &view.peer);
	note_address(seen, &view.peer);
	note_server(seen, view.instance, source);
	survey_conn_close(&survey->loop, conn);
}

static void
conclude_source(struct survey *survey, const struct seen *seen)
{
	struct survey_result *result = survey->result;
	char there[ADDRESS_TEXT_MAX], here[ADDRESS_TEXT_MAX], more[48] = "";
	bool is_kept = seen->addresses_kept == seen->count;
	bool port_kept = seen->ports_kept * 10 >= seen->count * 9;
	host_text(&seen->addresses[0], there);
	host_text(&seen->own, here);
	survey_set_text(result, SURVEY_source, "address", there);
	survey_set_word(result, SURVEY_source, "port", port_kept ? "kept" : "changed");
	survey_set_number(result, SURVEY_source, "addresses", seen->address_count);
	survey_set_number(result, SURVEY_source, "ports_kept", seen->ports_kept);
	if (!is_kept && seen->address_count > 1)
		snprintf(more, sizeof(more), " and %u more", seen->address_count - 1);
	if (is_kept)
		survey_conclude(result, SURVEY_source, "kept", SURVEY_SEEN,
		    "our address is kept; port kept %u of %u", seen->ports_kept,
		    seen->count);
	else
		survey_conclude(result, SURVEY_source, "changed", SURVEY_SEEN,
		    "%s%s instead of %s; port kept %u of %u", there, more, here,
		    seen->ports_kept, seen->count);
	result->rows[SURVEY_source].seen = result->rows[SURVEY_source].tried =
	    seen->count;
}

/* By address, if each source address always got the same server, and not all got one.
 */
static const char *
sticky_by(const struct seen *seen)
{
	for (uint32_t source = 0; source < seen->sources; source++) {
		uint32_t servers = 0;
		for (uint32_t i = 0; i < seen->server_count; i++)
			servers += seen->servers[i].by_source[source] > 0;
		if (servers > 1)
			return "connection";
	}
	return seen->sources > 1 ? "address" : "unknown";
}

static void
conclude_backends(struct survey *survey, const struct seen *seen)
{
	struct survey_result *result = survey->result;
	char names[128] = "";
	size_t length = 0;
	for (uint32_t i = 0; i < seen->server_count && length < sizeof(names) - 1; i++)
		length += (size_t)snprintf(names + length, sizeof(names) - length,
		    "%s%s %u", i > 0 ? ", " : "", seen->servers[i].name,
		    seen->servers[i].connections);
	survey_set_text(result, SURVEY_backends, "names", names);
	survey_set_number(result, SURVEY_backends, "servers", seen->server_count);
	result->rows[SURVEY_backends].seen = result->rows[SURVEY_backends].tried =
	    seen->count;
	if (seen->server_count == 1) {
		survey_conclude(result, SURVEY_backends, "one", SURVEY_SEEN,
		    "one: %s%s", names,
		    seen->sources < 2 ? "; from one client address" : "");
		return;
	}
	const char *sticky = sticky_by(seen);
	survey_set_word(result, SURVEY_backends, "sticky", sticky);
	survey_conclude(result, SURVEY_backends, "several", SURVEY_SEEN,
	    "%u servers, by %s: %s", seen->server_count, sticky, names);
}

void
probe_source(struct survey *survey)
{
	struct seen seen = { .count = 0 };
	seen.sources = survey->plan->source_count > 0 ? survey->plan->source_count : 1;
	/* A slow path gets a quarter of them. */
	uint32_t count =
	    survey->loop.connect_ns > NS_PER_S / 2 ? SOURCE_COUNT / 4 : SOURCE_COUNT;
	/* One address after another: in turn they would keep step with a balancer that
	 * chooses in turn, which would look like one that chooses by address. */
	for (uint32_t i = 0; i < count && !survey_loop_is_over(&survey->loop); i++)
		look(survey, &seen, i * seen.sources / count);
	if (seen.count < 3)
		return;
	conclude_source(survey, &seen);
	if (survey->plan->is_asked[SURVEY_backends])
		conclude_backends(survey, &seen);
}

/* --- mapping, reuse: connections from a port of our choice --- */

/* A local address of the target's family with a random port. */
static struct address
random_source(const struct survey *survey)
{
	const struct survey_plan *plan = survey->plan;
	struct address from = { .length = plan->target.length };
	from.storage.ss_family = plan->target.storage.ss_family;
	if (plan->source_count > 0)
		from = plan->sources[0];
	address_set_port(&from, (uint16_t)(20000 + random() % 12000));
	return from;
}

/* A connection from that port; NULL with *ret_error of connect(2). */
static struct survey_conn *
open_from(struct survey *survey, const struct address *from, const struct address *to,
    struct witness_view *view, int *ret_error)
{
	struct survey_loop *loop = &survey->loop;
	const struct survey_open open = { .to = to, .from = from, .may_fail = true };
	struct survey_conn *conn = survey_conn_open(loop, &open);
	*ret_error = conn != NULL ? ETIMEDOUT : 0;
	if (conn == NULL)
		return NULL;
	if (survey_conn_wait(loop, conn, FAR_END_PATIENCE_NS) &&
	    far_end_greet(survey, conn, view))
		return conn;
	if (conn->state == SURVEY_CONN_FAILED)
		*ret_error = conn->error;
	survey_conn_close(loop, conn);
	return NULL;
}

/* 1: one mapping for both targets, 0: two, -1: it did not work. */
static int
compare_mappings(struct survey *survey)
{
	struct witness_view first, second;
	const struct address from = random_source(survey);
	int error, same = -1;
	struct survey_conn *a =
	    open_from(survey, &from, &survey->plan->target, &first, &error);
	if (a == NULL)
		return -1;
	struct survey_conn *b =
	    open_from(survey, &from, &survey->plan->second, &second, &error);
	if (b != NULL)
		same = first.peer.port == second.peer.port &&
		    same_host(&first.peer, &second.peer);
	survey_conn_close(&survey->loop, b);
	survey_conn_close(&survey->loop, a);
	return same;
}

void
probe_mapping(struct survey *survey)
{
	struct survey_result *result = survey->result;
	struct survey_row *row = &result->rows[SURVEY_mapping];
	bool is_split = strcmp(survey_answer(result, SURVEY_split), "yes") == 0;
	uint32_t same = 0, tried = 0, failed = 0;
	for (int i = 0; i < MAPPING_COUNT && !survey_loop_is_over(&survey->loop) &&
	     (tried > 0 || failed < MAPPING_FAILURES_MAX);
	     i++) {
		int is_same = compare_mappings(survey);
		tried += is_same >= 0;
		failed += is_same < 0;
		same += is_same > 0;
	}
	if (tried == 0) {
		if (failed == MAPPING_FAILURES_MAX)
			survey_not_asked(result, SURVEY_mapping,
			    "no witness answers at the second target");
		return;
	}
	row->tried = tried;
	row->seen = same * 2 >= tried ? same : tried - same;
	if (same * 10 >= tried * 9) {
		survey_conclude(result, SURVEY_mapping, "independent", SURVEY_SEEN,
		    "the same address and port for both targets");
		return;
	}
	survey_conclude(result, SURVEY_mapping, "dependent", SURVEY_SEEN,
	    "another address or port for the second target, %u of %u", tried - same,
	    tried);
	/* A proxy chooses ports of its own for each connection. */
	if (is_split)
		return;
	row->norm = "RFC 5382 REQ-1";
	survey_mark(result, SURVEY_mapping,
	    "Applications that announce their own address and port to a third party fail. RFC 5382 REQ-1 demands endpoint-independent mapping. Usual setting: nftables \"random\", \"fully-random\"; symmetric NAT");
}

enum ending { ENDING_RST, ENDING_SERVER_FIN, ENDING_COUNT };

static void
end_connection(struct survey *survey, struct survey_conn *conn, enum ending ending)
{
	struct survey_loop *loop = &survey->loop;
	if (ending == ENDING_RST) {
		survey_conn_reset(loop, conn);
		return;
	}
	if (far_end_command(survey, conn, WITNESS_FIN, 0, 0))
		(void)survey_conn_wait_end(loop, conn, far_end_patience(survey));
	survey_conn_close(loop, conn);
	/* The last ACK must be there before the next SYN. */
	survey_loop_sleep(loop, 20 * NS_PER_MS + survey->answer_ns);
}

/* 1: the port worked again at once, 0: it did not, -1: this kernel did not try. */
static int
use_again(struct survey *survey, enum ending ending)
{
	struct address from;
	struct survey_conn *conn = NULL;
	int error = EADDRINUSE;
	for (int i = 0; conn == NULL && i < PORT_TRIES && error == EADDRINUSE; i++) {
		from = random_source(survey);
		conn = open_from(survey, &from, &survey->plan->target, NULL, &error);
	}
	if (conn == NULL)
		return -1;
	uint64_t first_ns = conn->connected_ns - conn->opened_ns;
	end_connection(survey, conn, ending);
	conn = open_from(survey, &from, &survey->plan->target, NULL, &error);
	if (conn == NULL)
		return error == EADDRNOTAVAIL || error == EADDRINUSE || error == 0 ? -1
										   : 0;
	uint64_t again_ns = conn->connected_ns - conn->opened_ns;
	survey_conn_close(&survey->loop, conn);
	return again_ns < 3 * first_ns + 400 * NS_PER_MS;
}

void
probe_reuse(struct survey *survey)
{
	static const char *const names[] = { "RST", "the server's FIN" };
	struct survey_result *result = survey->result;
	struct survey_row *row = &result->rows[SURVEY_reuse];
	uint32_t failed[ENDING_COUNT] = { 0 }, tried = 0, good = 0;
	for (int i = 0;
	     i < REUSE_COUNT * ENDING_COUNT && !survey_loop_is_over(&survey->loop);
	     i++) {
		enum ending ending = (enum ending)(i % ENDING_COUNT);
		int works = use_again(survey, ending);
		tried += works >= 0;
		good += works > 0;
		failed[ending] += works == 0;
	}
	if (tried == 0)
		return;
	survey_set_number(result, SURVEY_reuse, "failed", tried - good);
	row->tried = tried;
	row->seen = good == tried ? good : tried - good;
	if (good == tried) {
		survey_conclude(result, SURVEY_reuse, "at once", SURVEY_SEEN,
		    "the same source port works at once after RST and the server's FIN");
		return;
	}
	const char *after = failed[ENDING_RST] >= failed[ENDING_SERVER_FIN]
	    ? names[ENDING_RST]
	    : names[ENDING_SERVER_FIN];
	survey_set_text(result, SURVEY_reuse, "after", after);
	survey_conclude(result, SURVEY_reuse, "trouble", SURVEY_SEEN,
	    "%u of %u failed or were slow, most after %s", tried - good, tried, after);
}
