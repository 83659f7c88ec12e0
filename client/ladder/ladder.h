/*
 * ladder.h - connections that are left alone: the idle ladder.
 *
 * For each rung, a time, there are connections that are used once after it: one that
 * the client speaks to first, one on which the server speaks first, one that is
 * half-closed. Beside them one that each end keeps by keepalives, and one that is
 * active. They wait while other probes run; their events come through callbacks.
 *
 *   trial:  CONNECTING -> GREETING -> IDLE -> SPOKEN -> DONE
 *                  \__________\________\________\______^   ended or not served
 *
 * A trial that has died is asked about at the witness before it is closed, because our
 * own close would be seen there, too.
 */
#ifndef CLIENT_LADDER_LADDER_H
#define CLIENT_LADDER_LADDER_H

#include "client/probes/survey_state.h"

enum ladder_kind {
	LADDER_CLIENT_FIRST,
	LADDER_SERVER_FIRST,
	LADDER_HALF_CLOSED,
	LADDER_KEPT_BY_CLIENT,
	LADDER_KEPT_BY_SERVER,
	LADDER_ACTIVE,
};

enum ladder_state {
	LADDER_UNUSED,
	LADDER_CONNECTING,
	LADDER_GREETING,
	LADDER_IDLE,
	LADDER_SPOKEN,
	LADDER_DONE,
};

/* How a dead connection ended, by the server's record of it. */
enum ladder_told {
	LADDER_TOLD_UNKNOWN,
	LADDER_TOLD_NOTHING,
	LADDER_TOLD_RST,
	LADDER_TOLD_FIN
};

struct ladder_trial {
	struct survey_ladder *ladder;
	struct survey_conn *conn; /* NULL once it is closed */
	enum ladder_kind kind;
	enum ladder_state state;
	struct bracket_trial result;
	enum ladder_told told;
	bool may_ask;       /* of a dead one: the server was not asked yet */
	bool skips_line;    /* the next line answers our first words */
	uint64_t idle_ns;   /* since when it is idle */
	uint64_t spoken_ns; /* when it was spoken to */
	uint64_t received;  /* bytes until then */
	char id[40], instance[65];
	uint32_t server_segs, client_segs; /* segments received when it began */
	uint32_t server_heard, client_heard;
};

#define LADDER_TRIALS_MAX (3 * SURVEY_RUNGS_MAX + 3)

struct survey_ladder {
	struct survey *survey;
	double rungs[SURVEY_RUNGS_MAX];
	uint32_t rung_count;
	double top_s;
	uint64_t keepalive_ns;
	struct ladder_trial trials[LADDER_TRIALS_MAX];
	uint32_t trial_count;
	uint32_t refused; /* were not served */
};

/* The rungs up to top_s: just below and above the known timeouts. Their number. */
uint32_t ladder_rungs(double top_s, double rungs[SURVEY_RUNGS_MAX]);
/* The highest rung that the plan allows, in seconds; 0: none. */
double ladder_top(const struct survey_plan *plan);
/* How many connections the ladder opens at most. */
uint32_t ladder_connections(const struct survey_plan *plan);

/* Opens the connections. */
void ladder_start(struct survey *survey);
/* Asks the witness about the connections that have died. Called between probes. */
void ladder_ask(struct survey *survey);
bool ladder_is_done(const struct survey *survey);
/* Closes what is left, and fills the rows. */
void ladder_finish(struct survey *survey);

/* --- between ladder.c and ladder_rows.c --- */

/* Fills the rows idle, half_closed, keepalive and life from the trials. */
void ladder_conclude(struct survey *survey);
/* The first trial of that kind; NULL: not found. */
const struct ladder_trial *ladder_find(
    const struct survey_ladder *ladder, enum ladder_kind kind);

#endif
