/*
 * concurrent, by_source, burst, rate: limits of connections. Each connection must be
 * served: behind a proxy's maxconn the kernel accepts, and nothing answers. The
 * connections that the survey has open already count.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/units.h"
#include "client/probes/far_end.h"
#include "client/probes/probes.h"

#define REFUSALS_MAX 3
/* Longer than the second SYN, and a pause in which a limit of the rate lets one pass.
 */
#define SERVED_WAIT_NS (1600 * NS_PER_MS)
#define BETWEEN_REFUSALS_NS NS_PER_S
/* Connections of a try after the first that met silence. A NAT keeps the port of a
 * closed connection for minutes, and Linux gives it to a new one only if the sequence
 * number of its SYN is ahead of the old one's: for each of them an even chance. */
#define TRY_AFTER_SILENCE 4U
#define HELD_MAX 60000U
#define SECOND_SOURCE_TRIES 3

#define BURST_WAIT_NS (600 * NS_PER_MS) /* before the second SYN, after 1 s */
#define REST_NS (4 * NS_PER_S)          /* a bucket fills again */

#define RATE_PER_S 120
#define RATE_WAIT_NS (400 * NS_PER_MS)
#define RATE_NS (3 * NS_PER_S)
#define RATE_COUNTED_NS (2 * NS_PER_S) /* the last of them */
#define RATE_AT_ONCE 64

enum over {
	OVER_SERVED,
	OVER_SILENCE,
	OVER_RESET,
	OVER_MUTE,
	OVER_CLOSED,
	OVER_UNKNOWN
};
static const char *const over_words[] = { "", "silence", "reset", "mute", "closed",
	"" };
static const char *const over_texts[] = { "", "silence", "a reset",
	"connected, but nothing answers", "closed without an answer", "" };

/* An error of this host, which says nothing about the path. */
static bool
is_of_this_host(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS ||
	    error == ENOMEM || error == EADDRNOTAVAIL || error == EADDRINUSE;
}

struct group {
	struct survey_conn **conns;
	uint32_t count;
};

static bool
all_have_settled(const void *argument)
{
	const struct group *group = argument;
	for (uint32_t i = 0; i < group->count; i++)
		if (group->conns[i]->state == SURVEY_CONN_CONNECTING)
			return false;
	return true;
}

static uint64_t
patience(const struct survey *survey)
{
	return SERVED_WAIT_NS + survey->greeting_ns + 4 * survey->answer_ns;
}

/* How a connection that had the time to be established is served. */
static enum over
wait_served(struct survey *survey, struct survey_conn *conn)
{
	struct survey_loop *loop = &survey->loop;
	if (conn->state != SURVEY_CONN_OPEN) {
		if (survey_loop_is_over(loop) || is_of_this_host(conn->error))
			return OVER_UNKNOWN;
		return conn->state == SURVEY_CONN_FAILED ? OVER_RESET : OVER_SILENCE;
	}
	bool is_served = survey->far == SURVEY_FAR_WITNESS
	    ? far_end_greet(survey, conn, NULL)
	    : far_end_is_alive(survey, conn, patience(survey));
	if (is_served)
		return OVER_SERVED;
	if (survey_loop_is_over(loop))
		return OVER_UNKNOWN;
	return conn->error_ns > 0 ? OVER_RESET
	    : conn->eof_ns > 0    ? OVER_CLOSED
				  : OVER_MUTE;
}

/* Opens `count` connections together, at most TRY_AFTER_SILENCE. OVER_SERVED:
 * *ret_served of them stay open, in ret[]. */
static enum over
open_together(struct survey *survey, const struct address *from, uint32_t count,
    struct survey_conn *ret[], uint32_t *ret_served)
{
	struct survey_conn *conns[TRY_AFTER_SILENCE];
	struct group group = { .conns = conns };
	struct survey_open open = far_end_target(survey);
	enum over over = OVER_UNKNOWN;
	uint32_t served = 0;
	open.may_fail = true;
	if (from != NULL)
		open.from = from;
	while (group.count < count) {
		struct survey_conn *conn = survey_conn_open(&survey->loop, &open);
		if (conn == NULL)
			break;
		conns[group.count++] = conn;
	}
	(void)survey_loop_wait(
	    &survey->loop, patience(survey), all_have_settled, &group);
	for (uint32_t i = 0; i < group.count; i++) {
		enum over each = wait_served(survey, conns[i]);
		if (each == OVER_SERVED)
			ret[served++] = conns[i];
		else
			survey_conn_close(&survey->loop, conns[i]);
		if (over != OVER_SERVED)
			over = each;
	}
	*ret_served = served;
	return over;
}

/* Connections that are open and were served, those of the ladder included. */
static uint32_t
count_served(const struct survey *survey)
{
	const struct survey_loop *loop = &survey->loop;
	uint32_t count = 0;
	for (uint32_t i = 0; i < loop->capacity; i++)
		count += loop->conns[i].state == SURVEY_CONN_OPEN &&
		    loop->conns[i].received > 0 &&
		    !survey_conn_has_ended(&loop->conns[i]);
	return count;
}

struct concurrent {
	struct survey_conn **held;
	uint32_t held_count;
	uint32_t refusals; /* in a row, at the end */
	uint32_t refused;  /* in all */
	uint32_t served;   /* at the first refusal, or at the end */
	uint32_t ended;    /* that were served, and ended before the last was */
	enum over over;
};

static bool
has_room(const struct survey *survey, uint32_t count)
{
	return survey->loop.open + count + 1 < survey->loop.capacity;
}

/* Opens one after another until REFUSALS_MAX tries fail in a row, with pauses: a limit
 * of the rate lets one pass meanwhile. */
static void
fill(struct survey *survey, struct concurrent *c, uint32_t most)
{
	uint32_t refused = 0;
	while (c->held_count < most && refused < REFUSALS_MAX &&
	    !survey_loop_is_over(&survey->loop) && has_room(survey, 1)) {
		uint32_t left = most - c->held_count;
		uint32_t count = refused > 0 && c->over == OVER_SILENCE &&
			left >= TRY_AFTER_SILENCE && has_room(survey, TRY_AFTER_SILENCE)
		    ? TRY_AFTER_SILENCE
		    : 1;
		uint32_t served;
		enum over over = open_together(
		    survey, NULL, count, &c->held[c->held_count], &served);
		c->held_count += served;
		if (over == OVER_UNKNOWN)
			break;
		if (over == OVER_SERVED) {
			refused = 0;
			continue;
		}
		c->over = over;
		c->served = count_served(survey);
		refused++;
		c->refused++;
		survey_loop_sleep(&survey->loop, BETWEEN_REFUSALS_NS);
	}
	c->refusals = refused;
	for (uint32_t i = 0; i < c->held_count; i++)
		c->ended += survey_conn_has_ended(c->held[i]);
	if (refused < REFUSALS_MAX)
		c->served = count_served(survey);
}

/* While the first address is at its limit, a second one tries. */
static void
try_second_source(struct survey *survey)
{
	struct survey_result *result = survey->result;
	const struct survey_plan *plan = survey->plan;
	uint32_t served = 0, tried = 0;
	struct survey_conn *conns[SECOND_SOURCE_TRIES];
	while (tried < SECOND_SOURCE_TRIES && !survey_loop_is_over(&survey->loop)) {
		uint32_t more;
		(void)open_together(
		    survey, &plan->sources[1], 1, &conns[served], &more);
		served += more;
		tried++;
	}
	for (uint32_t i = 0; i < served; i++)
		survey_conn_close(&survey->loop, conns[i]);
	if (tried < SECOND_SOURCE_TRIES)
		return;
	survey_set_number(result, SURVEY_by_source, "served", served);
	result->rows[SURVEY_by_source].tried = tried;
	result->rows[SURVEY_by_source].seen = served > 0 ? served : tried;
	if (served > 0)
		survey_conclude(result, SURVEY_by_source, "source", SURVEY_SEEN,
		    "for each client address: a second one was served");
	else
		survey_conclude(result, SURVEY_by_source, "all", SURVEY_SEEN,
		    "for all: a second client address was not served either");
}

static void
conclude_concurrent(struct survey *survey, const struct concurrent *c)
{
	struct survey_result *result = survey->result;
	char ended[64] = "";
	survey_set_number(result, SURVEY_concurrent, "served", c->served);
	if (c->refusals < REFUSALS_MAX && c->refused >= REFUSALS_MAX) {
		survey_set_word(result, SURVEY_concurrent, "over", over_words[c->over]);
		survey_conclude(result, SURVEY_concurrent, "limit", SURVEY_LIKELY,
		    "about %u at a time: %u were not served at first, perhaps for their rate",
		    c->served, c->refused);
		return;
	}
	if (c->refusals < REFUSALS_MAX) {
		if (c->ended > 0)
			snprintf(ended, sizeof(ended),
			    "; %u more ended while others were opened (see idle)",
			    c->ended);
		survey_conclude(result, SURVEY_concurrent, "no limit", SURVEY_BOUNDED,
		    "no limit up to %u at a time%s", c->served, ended);
		return;
	}
	survey_set_word(result, SURVEY_concurrent, "over", over_words[c->over]);
	survey_conclude(result, SURVEY_concurrent, "limit", SURVEY_BOUNDED,
	    "%u at a time (all of this survey); one more: %s", c->served,
	    over_texts[c->over]);
	if (c->over == OVER_SILENCE || c->over == OVER_MUTE)
		survey_mark(result, SURVEY_concurrent,
		    "Clients above the limit wait until their own timeout. Usual setting: HAProxy maxconn, nginx worker_connections, nftables \"ct count\", the ports of a NAT");
}

void
probe_concurrent(struct survey *survey)
{
	const struct survey_plan *plan = survey->plan;
	struct survey_result *result = survey->result;
	static struct survey_conn *held[HELD_MAX];
	struct concurrent c = { .held = held };
	fill(survey, &c, plan->connections);
	bool is_limited = c.refusals == REFUSALS_MAX;
	if (is_limited || !survey_loop_is_over(&survey->loop))
		conclude_concurrent(survey, &c);
	if (plan->is_asked[SURVEY_by_source] && is_limited && plan->source_count > 1)
		try_second_source(survey);
	else if (plan->is_asked[SURVEY_by_source])
		survey_not_asked(result, SURVEY_by_source, "%s",
		    is_limited ? "needs two local addresses (--source-ip, twice)"
			       : "no limit was found");
	for (uint32_t i = 0; i < c.held_count; i++)
		survey_conn_close(&survey->loop, c.held[i]);
}

/* --- burst --- */

/* How many of `count` connections at once are accepted before the second SYN. */
static uint32_t
burst_once(struct survey *survey, uint32_t count, uint32_t *ret_tried)
{
	static struct survey_conn *conns[HELD_MAX];
	struct survey_loop *loop = &survey->loop;
	struct group burst = { .conns = conns };
	struct survey_open open = far_end_target(survey);
	uint32_t accepted = 0;
	open.is_unpaced = open.may_fail = true;
	while (burst.count < count) {
		struct survey_conn *conn = survey_conn_open(loop, &open);
		if (conn == NULL)
			break;
		conns[burst.count++] = conn;
	}
	(void)survey_loop_wait(
	    loop, BURST_WAIT_NS + survey->answer_ns, all_have_settled, &burst);
	for (uint32_t i = 0; i < burst.count; i++) {
		accepted += conns[i]->state == SURVEY_CONN_OPEN;
		survey_conn_close(loop, conns[i]);
	}
	*ret_tried = burst.count;
	return accepted;
}

/* As many as a limit of concurrent connections leaves room for. */
static uint32_t
burst_size(const struct survey *survey)
{
	const struct survey_value *served =
	    survey_get(survey->result, SURVEY_concurrent, "served");
	uint32_t size = survey->plan->burst, open = survey->loop.open;
	uint32_t room = survey->loop.capacity - open;
	if (strcmp(survey_answer(survey->result, SURVEY_concurrent), "limit") == 0 &&
	    served != NULL) {
		double left = served->number - open;
		/* Connections that were closed may count for a while. */
		left = left > 0 ? left / 2 : 0;
		room = left < room ? (uint32_t)left : room;
	}
	return size < room ? size : room;
}

void
probe_burst(struct survey *survey)
{
	struct survey_result *result = survey->result;
	uint32_t size, tried;
	survey_loop_sleep(&survey->loop, REST_NS);
	size = burst_size(survey);
	if (size < 5) {
		survey_not_asked(result, SURVEY_burst,
		    "the limit of concurrent connections leaves no room");
		return;
	}
	uint32_t accepted = burst_once(survey, size, &tried);
	if (tried < size || survey_loop_is_over(&survey->loop))
		return;
	survey_set_number(result, SURVEY_burst, "at_once", accepted);
	survey_set_number(result, SURVEY_burst, "tried", tried);
	if (accepted == tried) {
		survey_conclude(result, SURVEY_burst, "no limit", SURVEY_BOUNDED,
		    "no limit up to %u at once", accepted);
		if (survey->plan->is_asked[SURVEY_rate] && !survey->plan->asks_rate)
			survey_not_asked(result, SURVEY_rate,
			    "burst found no limit (to ask: --only rate)");
		return;
	}
	/* A SYN that is lost looks like one that is refused. */
	bool may_be_loss = accepted * 10 >= tried * 8;
	survey_conclude(result, SURVEY_burst, "limit",
	    may_be_loss ? SURVEY_LIKELY : SURVEY_BOUNDED,
	    "%u of %u at once; the others were not accepted within 0.6 s%s", accepted,
	    tried, may_be_loss ? ", or lost" : "");
	survey_mark(result, SURVEY_burst,
	    "Clients that start together wait a second or more for their connection. Usual setting: nftables \"limit rate\", a SYN limit, a short listen backlog");
}

/* --- rate --- */

struct attempt {
	struct survey_conn *conn;
	uint64_t began_ns;
};

struct pace {
	struct attempt attempts[RATE_AT_ONCE];
	uint64_t started_ns, counted_from_ns;
	uint32_t begun, accepted, tried; /* accepted and tried: of the counted time */
};

/* Ends attempts that are accepted or too old. SYNs must not be repeated: the second one
 * would take the place of a first. */
static void
settle(struct survey *survey, struct pace *pace, bool all)
{
	struct survey_loop *loop = &survey->loop;
	for (size_t i = 0; i < RATE_AT_ONCE; i++) {
		struct attempt *a = &pace->attempts[i];
		if (a->conn == NULL)
			continue;
		bool is_open = a->conn->state == SURVEY_CONN_OPEN;
		bool is_over = a->conn->state == SURVEY_CONN_FAILED ||
		    loop->now_ns > a->began_ns + RATE_WAIT_NS;
		if (!is_open && !is_over && !all)
			continue;
		if (a->began_ns >= pace->counted_from_ns) {
			pace->tried++;
			pace->accepted += is_open;
		}
		survey_conn_close(loop, a->conn);
		a->conn = NULL;
	}
}

static bool
begin(struct survey *survey, struct pace *pace)
{
	struct survey_open open = far_end_target(survey);
	open.is_unpaced = open.may_fail = true;
	for (size_t i = 0; i < RATE_AT_ONCE; i++) {
		struct attempt *a = &pace->attempts[i];
		if (a->conn != NULL)
			continue;
		a->conn = survey_conn_open(&survey->loop, &open);
		a->began_ns = survey->loop.now_ns;
		pace->begun++;
		return a->conn != NULL;
	}
	return false;
}

static void
conclude_rate(struct survey *survey, const struct pace *pace)
{
	struct survey_result *result = survey->result;
	double seconds = (double)RATE_COUNTED_NS / (double)NS_PER_S;
	double per_s = pace->accepted / seconds, tried_per_s = pace->tried / seconds;
	survey_set_number(result, SURVEY_rate, "per_s", per_s);
	survey_set_number(result, SURVEY_rate, "tried_per_s", tried_per_s);
	if (per_s >= 0.97 * tried_per_s) {
		survey_conclude(result, SURVEY_rate, "no limit", SURVEY_BOUNDED,
		    "no limit up to %.0f new connections a second", per_s);
		return;
	}
	survey_conclude(result, SURVEY_rate, "limit", SURVEY_BOUNDED,
	    "%.3g new connections a second, of %.0f tried", per_s, tried_per_s);
	survey_mark(result, SURVEY_rate,
	    "Clients above this rate wait a second or more for their connection. Usual setting: nftables \"limit rate\", a SYN limit, HAProxy \"rate-limit sessions\"");
}

void
probe_rate(struct survey *survey)
{
	struct survey_loop *loop = &survey->loop;
	struct pace pace = { .begun = 0 };
	survey_loop_sleep(loop, REST_NS);
	pace.started_ns = loop->now_ns;
	pace.counted_from_ns = pace.started_ns + RATE_NS - RATE_COUNTED_NS;
	while (loop->now_ns < pace.started_ns + RATE_NS && !survey_loop_is_over(loop)) {
		uint64_t due = (loop->now_ns - pace.started_ns) * RATE_PER_S / NS_PER_S;
		while (pace.begun < due && begin(survey, &pace))
			;
		survey_loop_sleep(loop, 2 * NS_PER_MS);
		settle(survey, &pace, false);
	}
	uint64_t settled_ns = loop->now_ns + RATE_WAIT_NS;
	while (loop->now_ns < settled_ns && !survey_loop_is_over(loop)) {
		survey_loop_sleep(loop, 5 * NS_PER_MS);
		settle(survey, &pace, false);
	}
	settle(survey, &pace, true);
	if (!survey_loop_is_over(loop) && pace.tried > 0)
		conclude_rate(survey, &pace);
}
