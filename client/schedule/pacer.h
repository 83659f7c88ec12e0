/*
 * pacer.h - a schedule of arrivals: when the next one is due, independent of what
 * became of those before it.
 *
 * Constant arrivals are computed from their number, so that errors do not add up. The
 * gaps of Poisson arrivals are exponential, from a seeded random generator, so that a
 * run can be repeated.
 */
#ifndef CLIENT_SCHEDULE_PACER_H
#define CLIENT_SCHEDULE_PACER_H

#include <stdbool.h>
#include <stdint.h>

#define PACER_NEVER UINT64_MAX

/* The share of one of several pacers in a common schedule: of each `whole` turns it
 * takes every `parts`-th from turn `part` on, `own` in all. All of them together take
 * each turn once. {0}: every turn. */
struct pacer_share {
	uint64_t whole, own;
	uint64_t parts, part;
};

struct pacer {
	uint64_t next_ns; /* next arrival; PACER_NEVER: not running */
	uint64_t base_ns;
	uint64_t taken;
	double gap_ns;
	double phase; /* of the first arrival, in gaps */
	struct pacer_share of_rank, of_process;
	double at_ns; /* Poisson: after base_ns */
	uint64_t random;
	bool poisson;
};

struct pacer_args {
	uint64_t start_ns;
	double rate;  /* arrivals per second */
	double phase; /* 0 to 1: delay of the first arrival, in gaps */
	/* Constant arrivals: `rate` is that of all ranks, and this is a process of one.
	 */
	struct pacer_share of_rank, of_process;
	bool poisson;
	uint64_t seed;
};
void pacer_start(struct pacer *pacer, const struct pacer_args *args);

/* Takes the arrival at next_ns and sets next_ns to the one after it. */
void pacer_take(struct pacer *pacer);

/* Takes all arrivals due before `until_ns`, in bounded time; returns their number. That
 * of more than a million Poisson arrivals is the expected one. */
uint64_t pacer_take_until(struct pacer *pacer, uint64_t until_ns);

/* Skips arrivals that were due before now: the next one is due now. */
void pacer_resume(struct pacer *pacer, uint64_t now_ns);

/* A random number, 0 .. bound - 1: the connection that takes an arrival. */
uint32_t pacer_pick(struct pacer *pacer, uint32_t bound);

#endif
