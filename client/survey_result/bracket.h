/*
 * bracket.h - between which times a path forgets an idle connection, from connections
 * that were left alone for different times.
 *
 * Each connection is a trial: idle for idle_s, then spoken to. One that ended by itself
 * has the time of its end. A path with one idle timeout is monotonous: what is dead at
 * some time is dead at any later time. Trials that contradict this make the bracket
 * unclear (packet loss, a restart, several paths).
 */
#ifndef CLIENT_SURVEY_RESULT_BRACKET_H
#define CLIENT_SURVEY_RESULT_BRACKET_H

#include <stdbool.h>
#include <stddef.h>

enum bracket_fate {
	BRACKET_UNKNOWN, /* not tried, or not over yet */
	BRACKET_ALIVE,
	BRACKET_SILENCE, /* no byte, no end */
	BRACKET_RESET,
	BRACKET_FIN,
};
extern const char *const bracket_fate_names[];

struct bracket_trial {
	double planned_s; /* the rung */
	double idle_s;    /* measured, until it was spoken to or ended */
	enum bracket_fate fate;
	bool unasked; /* the end came before anything was said */
};

struct bracket {
	double alive_s; /* the longest idle time that a connection survived; 0: none */
	double dead_s;  /* the shortest that one did not; 0: all survived */
	enum bracket_fate fate; /* of the dead; BRACKET_ALIVE if there is none */
	bool unasked;           /* they ended by themselves, at dead_s */
	bool is_unclear;        /* one lived longer than another that died */
	bool is_mixed;          /* the dead ended in different ways */
	unsigned alive, dead;   /* trials */
};

/* A trial that ended by itself within this fraction of the earliest end agrees. */
#define BRACKET_TOLERANCE 0.25
/* A rung that lies at the timeout itself may live a little longer than another died. */
#define BRACKET_SLACK 1.05
#define BRACKET_SLACK_S 0.1

struct bracket bracket_of(const struct bracket_trial *trials, size_t count);

#endif
