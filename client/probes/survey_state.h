/* survey_state.h - the state of a survey, which its probes share. */
#ifndef CLIENT_PROBES_SURVEY_STATE_H
#define CLIENT_PROBES_SURVEY_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/witness/witness.h"
#include "client/probes/survey_loop.h"
#include "client/probes/survey_plan.h"
#include "client/survey_result/survey_rows.h"

/* Kind of server at the target. */
enum survey_far {
	SURVEY_FAR_UNKNOWN,
	SURVEY_FAR_WITNESS, /* reply "witness" of yodeld: does what it is told */
	SURVEY_FAR_ECHO,    /* sends back what it gets */
	SURVEY_FAR_ANSWERS, /* answers something else */
	SURVEY_FAR_GREETS,  /* speaks first, and it is no witness */
	SURVEY_FAR_SILENT,  /* has said nothing */
};

#define SURVEY_REPEAT_MAX 10
#define SURVEY_REPEAT_DEFAULT 3

struct survey_ladder;

struct survey {
	const struct survey_plan *plan;
	struct survey_result *result;
	struct survey_loop loop;
	enum survey_far far;
	bool is_upper;             /* it echoes in upper case */
	bool closes_itself;        /* it ends a connection after its answer */
	bool greets_when_asked;    /* the greeting waits for our first bytes */
	uint64_t greeting_ns;      /* how long a greeting takes after the handshake */
	uint64_t answer_ns;        /* how long an answer takes; 0: unknown */
	uint32_t repeats;          /* of the probe that runs */
	uint32_t generation;       /* of the witness, at its first greeting */
	struct survey_conn *asker; /* asks the witness about other connections */
	struct survey_ladder *ladder;
	uint64_t started_ns;
	uint32_t pauses; /* pauses after refusals */
	/* Called when something worth showing has changed; NULL: never. */
	void (*on_progress)(const struct survey *survey, const char *what);
};

#endif
