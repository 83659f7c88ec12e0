/*
 * pace.h - a schedule of arrivals: when the next one is due, whatever became of those
 * before it.
 *
 * Constant arrivals are computed from their number, so that no error adds up. The gaps
 * of Poisson arrivals are exponential, from a seeded generator: the same run again.
 */
#ifndef CLIENT_PACE_H
#define CLIENT_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_NEVER UINT64_MAX

struct pace {
	uint64_t next_ns; /* when the next arrival is due; PACE_NEVER: not running */
	uint64_t base_ns;
	uint64_t taken;
	double gap_ns;
	double phase; /* of the first arrival, in gaps */
	double at_ns; /* Poisson: after base_ns */
	uint64_t random;
	bool poisson;
};

struct pace_args {
	uint64_t start_ns;
	double rate;  /* arrivals a second */
	double phase; /* 0 to 1: the part of a gap that the first one waits */
	bool poisson;
	uint64_t seed;
};
void pace_start(struct pace *pace, const struct pace_args *args);

/* The arrival at next_ns is taken; next_ns becomes that of the one after it. */
void pace_take(struct pace *pace);

/* What came due by now is not made up for: the next arrival is due now. */
void pace_resume(struct pace *pace, uint64_t now_ns);

/* A number from the same generator, 0 .. bound - 1: which connection an arrival takes.
 */
uint32_t pace_pick(struct pace *pace, uint32_t bound);

#endif
