/* The rows idle, half_closed, keepalive and life, from the trials of the ladder. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "client/ladder/ladder.h"

#define RFC_ESTABLISHED_S 7440 /* RFC 5382, REQ-5 */
#define RFC_TRANSITORY_S 240
#define OWN_TIMEOUT_SHARE 0.9
#define LEAST_KEEPALIVES 3 /* to tell whether they are passed on */

/* The trials of one kind, as the row needs them. */
struct side {
	struct bracket_trial trials[SURVEY_RUNGS_MAX];
	uint32_t count;
	struct bracket bracket;
	const char *word; /* a value of the fields "answer", "client_first", ... */
};

/* By what the client saw, and what the server was told. */
static const char *
end_word(enum bracket_fate fate, enum ladder_told told)
{
	switch (fate) {
	case BRACKET_SILENCE:
		return told == LADDER_TOLD_RST ? "rst to server"
		    : told == LADDER_TOLD_FIN  ? "fin to server"
					       : "silence";
	case BRACKET_RESET:
		return told == LADDER_TOLD_RST ? "rst to both" : "rst to client";
	case BRACKET_FIN:
		return told == LADDER_TOLD_FIN ? "fin to both"
		    : told == LADDER_TOLD_RST  ? "rst to both"
					       : "fin to client";
	default:
		return "alive";
	}
}

static int
compare_rungs(const void *a, const void *b)
{
	double x = ((const struct bracket_trial *)a)->planned_s;
	double y = ((const struct bracket_trial *)b)->planned_s;
	return (x > y) - (x < y);
}

static struct side
side_of(const struct survey_ladder *ladder, enum ladder_kind kind)
{
	struct side side = { .count = 0 };
	enum ladder_told told = LADDER_TOLD_UNKNOWN;
	for (uint32_t i = 0; i < ladder->trial_count; i++) {
		const struct ladder_trial *t = &ladder->trials[i];
		if (t->kind != kind || side.count == SURVEY_RUNGS_MAX)
			continue;
		side.trials[side.count++] = t->result;
		/* A death that the server noticed is more than one that it did not. */
		if (t->told > told)
			told = t->told;
	}
	qsort(side.trials, side.count, sizeof(side.trials[0]), compare_rungs);
	side.bracket = bracket_of(side.trials, side.count);
	side.word =
	    side.bracket.is_unclear ? "unclear" : end_word(side.bracket.fate, told);
	return side;
}

static bool
is_known(const struct side *side)
{
	return side->bracket.alive + side->bracket.dead > 0;
}

/* "silence between 74 and 76 s", "FIN to both at 6.00 s", "alive after 117 s,
 * the longest tried" */
static const char *
describe(const struct side *side, char text[96])
{
	const struct bracket *b = &side->bracket;
	char word[32];
	snprintf(word, sizeof(word), "%s", side->word);
	if (strncmp(word, "rst", 3) == 0)
		memcpy(word, "RST", 3);
	if (strncmp(word, "fin", 3) == 0)
		memcpy(word, "FIN", 3);
	if (b->is_unclear)
		snprintf(text, 96, "unclear: dead at %.3g s, alive at %.3g s",
		    b->dead_s, b->alive_s);
	else if (b->dead == 0)
		snprintf(text, 96, "alive after %.4g s, the longest tried", b->alive_s);
	else if (b->unasked)
		snprintf(text, 96, "%s at %.3g s", word, b->dead_s);
	else
		snprintf(text, 96, "%s between %.4g and %.4g s", word, b->alive_s,
		    b->dead_s);
	return text;
}

static void
set_side(struct survey_result *result, const char *name, const struct side *side)
{
	char field[48];
	if (!is_known(side))
		return;
	survey_set_word(result, SURVEY_idle, name, side->word);
	if (side->bracket.alive_s > 0) {
		snprintf(field, sizeof(field), "%s_alive_s", name);
		survey_set_number(result, SURVEY_idle, field, side->bracket.alive_s);
	}
	if (side->bracket.dead > 0) {
		snprintf(field, sizeof(field), "%s_dead_s", name);
		survey_set_number(result, SURVEY_idle, field, side->bracket.dead_s);
	}
}

/* The server may end it by its own timeout. */
static bool
may_be_own_timeout(const struct survey_result *result, double dead_s)
{
	return result->witness_idle_s > 0 &&
	    dead_s > result->witness_idle_s * OWN_TIMEOUT_SHARE;
}

/* Where the setting is: in a proxy, or in what only passes segments on. */
static const char *
idle_advice(const char *split)
{
	if (strcmp(split, "yes") == 0)
		return "Usual setting: HAProxy \"timeout client\" and \"timeout server\", nginx proxy_timeout, the idle timeout of another proxy";
	if (strcmp(split, "no") == 0)
		return "Usual setting: Linux nf_conntrack_tcp_timeout_established, the idle timeout of a firewall, NAT or cloud balancer";
	return "Usual setting: HAProxy \"timeout client\" and \"timeout server\", nginx proxy_timeout, Linux nf_conntrack_tcp_timeout_established, the idle timeout of a cloud balancer or NAT";
}

/* The consequence for an application. A proxy that ends a connection violates nothing:
 * it is one end of it. */
static void
mark_idle(struct survey_result *result, const char *word, double dead_s, bool unasked)
{
	struct survey_row *row = &result->rows[SURVEY_idle];
	const char *split = survey_answer(result, SURVEY_split);
	const char *advice = idle_advice(split);
	if (dead_s < RFC_ESTABLISHED_S && (!unasked || strcmp(split, "no") == 0)) {
		row->norm = "RFC 5382 REQ-5";
		row->norm_at_least_s = RFC_ESTABLISHED_S;
	}
	if (strcmp(word, "unclear") == 0)
		return;
	if (unasked)
		survey_mark(result, SURVEY_idle,
		    "An idle connection is ended after %.3g s; a pool finds it closed. %s",
		    dead_s, advice);
	else if (strcmp(word, "silence") == 0 || strcmp(word, "rst to server") == 0 ||
	    strcmp(word, "fin to server") == 0)
		survey_mark(result, SURVEY_idle,
		    "After it, an application hangs until its own timeout. %s", advice);
	else
		survey_mark(result, SURVEY_idle,
		    "After it, the first message is answered by a reset. %s", advice);
}

/* The side that dies first speaks for the row. */
static void
conclude_idle(
    struct survey *survey, const struct side *client, const struct side *server)
{
	struct survey_result *result = survey->result;
	struct survey_row *row = &result->rows[SURVEY_idle];
	char first[96], second[96];
	const char *whose =
	    survey->far == SURVEY_FAR_WITNESS ? "" : " (path or server)";
	if (!is_known(client) && !is_known(server))
		return;
	set_side(result, "client_first", client);
	set_side(result, "server_first", server);
	const struct side *worse =
	    !is_known(client) || (client->bracket.dead == 0 && is_known(server))
	    ? server
	    : client;
	if (worse->bracket.alive_s > 0)
		survey_set_number(
		    result, SURVEY_idle, "alive_s", worse->bracket.alive_s);
	if (worse->bracket.dead > 0)
		survey_set_number(result, SURVEY_idle, "dead_s", worse->bracket.dead_s);
	if (worse->bracket.dead > 0 && worse->bracket.unasked)
		survey_set_number(result, SURVEY_idle, "end_s", worse->bracket.dead_s);
	describe(client, first);
	describe(server, second);
	if (!is_known(server))
		survey_conclude(result, SURVEY_idle, worse->word, SURVEY_BOUNDED,
		    "%s, client speaks first%s", first, whose);
	else if (!is_known(client))
		survey_conclude(result, SURVEY_idle, worse->word, SURVEY_BOUNDED,
		    "%s, server speaks first", second);
	else if (worse->bracket.unasked)
		survey_conclude(
		    result, SURVEY_idle, worse->word, SURVEY_BOUNDED, "%s", first);
	else if (strcmp(client->word, server->word) == 0 &&
	    client->bracket.alive_s < server->bracket.alive_s * 1.02 + 0.1 &&
	    client->bracket.alive_s > server->bracket.alive_s * 0.98 - 0.1)
		survey_conclude(result, SURVEY_idle, worse->word, SURVEY_BOUNDED,
		    "%s, whichever end speaks first", first);
	else
		survey_conclude(result, SURVEY_idle, worse->word, SURVEY_BOUNDED,
		    "client first: %s; server first: %s", first, second);
	row->tried = (is_known(client) ? 1 : 0) + (is_known(server) ? 1 : 0);
	row->seen = row->tried;
	if (worse->bracket.dead == 0)
		return;
	mark_idle(result, worse->word, worse->bracket.dead_s, worse->bracket.unasked);
	if (may_be_own_timeout(result, worse->bracket.dead_s))
		row->certainty = SURVEY_LIKELY;
}

static void
conclude_half_closed(struct survey *survey, const struct side *side)
{
	struct survey_result *result = survey->result;
	struct survey_row *row = &result->rows[SURVEY_half_closed];
	const struct bracket *b = &side->bracket;
	char text[96];
	if (!is_known(side))
		return;
	if (b->alive_s > 0)
		survey_set_number(result, SURVEY_half_closed, "alive_s", b->alive_s);
	if (b->dead > 0)
		survey_set_number(result, SURVEY_half_closed, "dead_s", b->dead_s);
	survey_conclude(result, SURVEY_half_closed, side->word, SURVEY_BOUNDED, "%s",
	    describe(side, text));
	if (b->dead == 0 || b->is_unclear)
		return;
	row->norm = "RFC 5382 REQ-5 (transitory)";
	row->norm_at_least_s = RFC_TRANSITORY_S;
	if (b->dead_s < RFC_TRANSITORY_S)
		survey_mark(result, SURVEY_half_closed,
		    "An answer that takes longer than this after the client's FIN is lost. Usual setting: HAProxy \"timeout client-fin\", nginx proxy_half_close, socat -t, Linux nf_conntrack_tcp_timeout_close_wait");
}

/* --- keepalive --- */

static bool
is_kept(const struct ladder_trial *trial)
{
	return trial != NULL && trial->result.fate == BRACKET_ALIVE;
}

static bool
is_lost(const struct ladder_trial *trial)
{
	return trial != NULL && trial->result.fate > BRACKET_ALIVE;
}

/* Keepalives that a connection should have sent while it was idle. */
static double
keepalives_of(const struct survey_ladder *ladder, const struct ladder_trial *trial)
{
	double count = trial == NULL
	    ? 0
	    : trial->result.idle_s * (double)NS_PER_S / (double)ladder->keepalive_ns;
	return count < 1 ? 0 : (double)(int)(count - 0.1);
}

/* Whether keepalives are passed on. Two of the segments that were heard belong to our
 * last words or the end. "": too few to tell. */
static const char *
passed_on(const struct survey_ladder *ladder, const struct ladder_trial *client,
    const struct ladder_trial *server)
{
	double by_client = keepalives_of(ladder, client);
	double by_server = keepalives_of(ladder, server);
	if (by_client >= LEAST_KEEPALIVES && client->server_heard >= 2 + by_client / 2)
		return "yes";
	if (by_server >= LEAST_KEEPALIVES && server->client_heard >= 2 + by_server / 2)
		return "yes";
	return by_client >= LEAST_KEEPALIVES || by_server >= LEAST_KEEPALIVES ? "no"
									      : "";
}

static void
conclude_keepalive(struct survey *survey, bool ends_idle)
{
	const struct survey_ladder *ladder = survey->ladder;
	struct survey_result *result = survey->result;
	struct survey_row *row = &result->rows[SURVEY_keepalive];
	const struct ladder_trial *client = ladder_find(ladder, LADDER_KEPT_BY_CLIENT);
	const struct ladder_trial *server = ladder_find(ladder, LADDER_KEPT_BY_SERVER);
	double interval_s = (double)ladder->keepalive_ns / (double)NS_PER_S;
	double sent = keepalives_of(ladder, client);
	uint32_t kept = (uint32_t)is_kept(client) + is_kept(server);
	uint32_t lost = (uint32_t)is_lost(client) + is_lost(server);
	char heard[80] = "";
	if (kept + lost == 0 || ladder->top_s <= 0)
		return;
	survey_set_number(result, SURVEY_keepalive, "interval_s", interval_s);
	survey_set_number(result, SURVEY_keepalive, "sent", sent);
	if (is_kept(client) || is_lost(client))
		survey_set_word(result, SURVEY_keepalive, "from_client",
		    is_kept(client) ? "kept" : "lost");
	if (is_kept(server) || is_lost(server))
		survey_set_word(result, SURVEY_keepalive, "from_server",
		    is_kept(server) ? "kept" : "lost");
	const char *passed =
	    survey->far == SURVEY_FAR_WITNESS ? passed_on(ladder, client, server) : "";
	if (passed[0] != '\0') {
		survey_set_word(result, SURVEY_keepalive, "passed_on", passed);
		survey_set_number(result, SURVEY_keepalive, "server_heard",
		    client != NULL ? client->server_heard : 0);
		survey_set_number(result, SURVEY_keepalive, "client_heard",
		    server != NULL ? server->client_heard : 0);
		snprintf(heard, sizeof(heard), "; %s to the other end",
		    strcmp(passed, "yes") == 0 ? "passed on" : "not passed on");
	}
	row->seen = kept >= lost ? kept : lost;
	row->tried = kept + lost;
	if (!ends_idle && lost == 0)
		survey_conclude(result, SURVEY_keepalive, "not needed", SURVEY_SEEN,
		    "not needed up to %.4g s%s", ladder->top_s, heard);
	else if (lost == 0)
		survey_conclude(result, SURVEY_keepalive, "honoured", SURVEY_SEEN,
		    "every %.3g s keeps the connection%s", interval_s, heard);
	else if (!ends_idle)
		survey_conclude(result, SURVEY_keepalive, "unclear", SURVEY_SEEN,
		    "a connection with one every %.3g s ended; without, none was seen to end",
		    interval_s);
	else if (kept == 0)
		survey_conclude(result, SURVEY_keepalive, "no help", SURVEY_SEEN,
		    "every %.3g s does not help%s", interval_s, heard);
	else
		survey_conclude(result, SURVEY_keepalive, "unclear", SURVEY_SEEN,
		    "every %.3g s: from the client %s, from the server %s", interval_s,
		    is_kept(client) ? "kept" : "lost",
		    is_kept(server) ? "kept" : "lost");
	if (kept == 0 && ends_idle)
		survey_mark(result, SURVEY_keepalive,
		    "TCP keepalives do not prevent the end of an idle connection: only messages do (a proxy counts bytes). Usual remedy: messages of the application, or a longer timeout there");
}

static void
conclude_life(struct survey *survey)
{
	struct survey_result *result = survey->result;
	const struct ladder_trial *trial = ladder_find(survey->ladder, LADDER_ACTIVE);
	if (trial == NULL || trial->result.idle_s <= 0)
		return;
	const char *word = end_word(trial->result.fate, trial->told);
	survey_set_number(result, SURVEY_life, "alive_s", trial->result.idle_s);
	if (trial->result.fate > BRACKET_ALIVE) {
		survey_conclude(result, SURVEY_life, word, SURVEY_SEEN,
		    "a connection with a message each second ended after %.3g s: %s",
		    trial->result.idle_s, word);
		survey_mark(result, SURVEY_life,
		    "Active connections end too. Usual setting: a maximum age or session timeout, for example Envoy max_connection_duration");
		return;
	}
	survey_conclude(result, SURVEY_life, "alive", SURVEY_BOUNDED,
	    "a connection with a message each second lived %.4g s",
	    trial->result.idle_s);
}

void
ladder_conclude(struct survey *survey)
{
	struct survey_result *result = survey->result;
	const struct survey_ladder *ladder = survey->ladder;
	struct side client = side_of(ladder, LADDER_CLIENT_FIRST);
	struct side server = side_of(ladder, LADDER_SERVER_FIRST);
	struct side half = side_of(ladder, LADDER_HALF_CLOSED);
	memcpy(result->client_first, client.trials, sizeof(client.trials));
	memcpy(result->server_first, server.trials, sizeof(server.trials));
	memcpy(result->half_closed, half.trials, sizeof(half.trials));
	result->client_first_count = client.count;
	result->server_first_count = server.count;
	result->half_closed_count = half.count;
	if (survey->plan->is_asked[SURVEY_idle])
		conclude_idle(survey, &client, &server);
	if (survey->plan->is_asked[SURVEY_half_closed])
		conclude_half_closed(survey, &half);
	if (survey->plan->is_asked[SURVEY_keepalive])
		conclude_keepalive(
		    survey, client.bracket.dead > 0 || server.bracket.dead > 0);
	if (survey->plan->is_asked[SURVEY_life])
		conclude_life(survey);
}
