/*
 * probes.h - the probes of a survey. Each asks one question, fills its row, or several
 * rows where one measurement answers them, and returns when it knows the answer, when
 * its patience is over, or when survey_loop_is_over(). It closes what it opened.
 *
 * A row that is not concluded when its probe returns is "not asked": out of time.
 */
#ifndef CLIENT_PROBES_PROBES_H
#define CLIENT_PROBES_PROBES_H

#include "client/probes/survey_state.h"

enum probe_needs {
	PROBE_NEEDS_NOTHING,
	PROBE_NEEDS_ANSWERS, /* a witness, an echo server or one that answers */
	PROBE_NEEDS_ECHO,    /* a witness or an echo server */
	PROBE_NEEDS_WITNESS,
};

enum probe_stage {
	PROBE_FIRST,  /* before the ladder begins */
	PROBE_BESIDE, /* beside the ladder, one after another */
	PROBE_LIMITS, /* after a pause, when only the ladder waits */
	PROBE_LADDER, /* answered by the ladder itself */
	PROBE_LAST,   /* with the sums of all others */
};

struct survey_probe {
	enum survey_row_id row;
	enum probe_stage stage;
	enum probe_needs needs;
	/* Cost of one repetition, and of what is not repeated: connections, and seconds
	 * on a path without delay. */
	uint16_t connections, connections_fixed;
	float seconds, seconds_fixed;
	bool is_repeated; /* --repeat counts */
	bool is_unpaced;  /* its connections take no time of their own */
	const char *also; /* further needs, in words; NULL */
	void (*run)(struct survey *survey); /* NULL: another probe fills the row */
};
extern const struct survey_probe survey_probes[]; /* ends with row SURVEY_ROW_COUNT */

void probe_reach(struct survey *survey); /* and before */
void probe_server_first(struct survey *survey);
void probe_hops(struct survey *survey);
void probe_split(struct survey *survey);
void probe_split_back(struct survey *survey);
void probe_syn(struct survey *survey);
void probe_source(struct survey *survey); /* and backends */
void probe_mapping(struct survey *survey);
void probe_reuse(struct survey *survey);
void probe_half_close(struct survey *survey);
void probe_half_close_back(struct survey *survey);
void probe_reset(struct survey *survey);
void probe_reset_back(struct survey *survey);
void probe_big(struct survey *survey);
void probe_payload(struct survey *survey);
void probe_concurrent(struct survey *survey); /* and by_source */
void probe_burst(struct survey *survey);
void probe_rate(struct survey *survey);
void probe_load(struct survey *survey);

#endif
