/*
 * pacer.h - a schedule of arrivals: when the next one is due, whatever became of those
 * before it.
 *
 * Constant arrivals are computed from their number, so that no error adds up. The gaps
 * of Poisson arrivals are exponential, from a seeded generator: the same run again.
 */
#ifndef CLIENT_LOAD_PACER_H
#define CLIENT_LOAD_PACER_H

#include <stdbool.h>
#include <stdint.h>

#define PACER_NEVER UINT64_MAX

struct pacer {
	uint64_t next_ns; /* when the next arrival is due; PACER_NEVER: not running */
	uint64_t base_ns;
	uint64_t taken;
	double gap_ns;
	double phase; /* of the first arrival, in gaps */
	double at_ns; /* Poisson: after base_ns */
	uint64_t random;
	bool poisson;
};

struct pacer_args {
	uint64_t start_ns;
	double rate;  /* arrivals a second */
	double phase; /* 0 to 1: the part of a gap that the first one waits */
	bool poisson;
	uint64_t seed;
};
void pacer_start(struct pacer *pacer, const struct pacer_args *args);

/* The arrival at next_ns is taken; next_ns becomes that of the one after it. */
void pacer_take(struct pacer *pacer);

/* What came due by now is not made up for: the next arrival is due now. */
void pacer_resume(struct pacer *pacer, uint64_t now_ns);

/* A number from the same generator, 0 .. bound - 1: which connection an arrival takes.
 */
uint32_t pacer_pick(struct pacer *pacer, uint32_t bound);

#endif
