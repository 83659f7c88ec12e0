#include "client/schedule/pacer.h"

#include <math.h>

#include "proto/payload.h"

#define DRAWS_MAX 1000000   /* of random gaps, at once */
#define LONGEST_GAP_NS 1e17 /* 3 years; a sum of many fits into 64 bits */

static uint64_t
draw(struct pacer *pacer)
{
	return payload_mix(pacer->random += UINT64_C(0x9e3779b97f4a7c15));
}

/* 53 random bits; the argument of the logarithm is never 0. */
static double
exponential(struct pacer *pacer)
{
	double uniform = ((double)(draw(pacer) >> 11) + 0.5) * 0x1p-53;
	return -log(uniform) * pacer->gap_ns;
}

/* The turn of the whole schedule at which this share takes its n-th one, from 0. */
static uint64_t
turn_of(const struct pacer_share *share, uint64_t n)
{
	if (share->parts <= 1)
		return n;
	return n / share->own * share->whole + n % share->own * share->parts +
	    share->part;
}

/* How many turns this share takes before a turn of the whole schedule. */
static uint64_t
turns_before(const struct pacer_share *share, uint64_t turn)
{
	if (share->parts <= 1)
		return turn;
	uint64_t rest = turn % share->whole;
	uint64_t taken = rest > share->part
	    ? (rest - share->part + share->parts - 1) / share->parts
	    : 0;
	return turn / share->whole * share->own +
	    (taken < share->own ? taken : share->own);
}

static void
schedule(struct pacer *pacer)
{
	if (pacer->poisson) {
		pacer->at_ns += exponential(pacer);
		pacer->next_ns = pacer->base_ns + (uint64_t)pacer->at_ns;
	} else {
		uint64_t turn =
		    turn_of(&pacer->of_rank, turn_of(&pacer->of_process, pacer->taken));
		pacer->next_ns = pacer->base_ns +
		    (uint64_t)(((double)turn + pacer->phase) * pacer->gap_ns);
	}
}

void
pacer_start(struct pacer *pacer, const struct pacer_args *args)
{
	*pacer = (struct pacer){
		.base_ns = args->start_ns,
		.gap_ns = fmin(1e9 / args->rate, LONGEST_GAP_NS),
		.phase = args->phase,
		.of_rank = args->of_rank,
		.of_process = args->of_process,
		.poisson = args->poisson,
		.random = payload_mix(args->seed + 1),
	};
	schedule(pacer);
}

void
pacer_resume(struct pacer *pacer, uint64_t now_ns)
{
	if (pacer->next_ns >= now_ns)
		return;
	pacer->base_ns += now_ns - pacer->next_ns;
	pacer->next_ns = now_ns;
}

void
pacer_take(struct pacer *pacer)
{
	pacer->taken++;
	schedule(pacer);
}

/* Moves a constant schedule to just before the first arrival at `until_ns` or later. */
static void
jump(struct pacer *pacer, uint64_t until_ns)
{
	double number =
	    floor((double)(until_ns - pacer->base_ns) / pacer->gap_ns - pacer->phase);
	uint64_t taken = number > 0
	    ? turns_before(
		  &pacer->of_process, turns_before(&pacer->of_rank, (uint64_t)number))
	    : 0;
	if (taken > pacer->taken + 1) {
		pacer->taken = taken - 1;
		schedule(pacer);
	}
}

uint64_t
pacer_take_until(struct pacer *pacer, uint64_t until_ns)
{
	uint64_t before = pacer->taken;
	if (pacer->next_ns >= until_ns)
		return 0;
	if (!pacer->poisson)
		jump(pacer, until_ns);
	for (uint32_t i = 0; i < DRAWS_MAX && pacer->next_ns < until_ns; i++)
		pacer_take(pacer);
	if (pacer->next_ns < until_ns) {
		pacer->taken +=
		    (uint64_t)((double)(until_ns - pacer->next_ns) / pacer->gap_ns);
		pacer->at_ns = (double)(until_ns - pacer->base_ns);
		schedule(pacer);
	}
	return pacer->taken - before;
}

uint32_t
pacer_pick(struct pacer *pacer, uint32_t bound)
{
	return (uint32_t)((draw(pacer) >> 32) * bound >> 32);
}
