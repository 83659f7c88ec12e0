#include "client/pace.h"

#include <math.h>

#include "client/payload.h"

#define LONGEST_GAP_NS 1e17 /* three years: many times it still fits 64 bits */

static uint64_t
draw(struct pace *pace)
{
	return payload_mix(pace->random += UINT64_C(0x9e3779b97f4a7c15));
}

/* An exponential gap; 53 random bits, never 0 under the logarithm. */
static double
exponential(struct pace *pace)
{
	double uniform = ((double)(draw(pace) >> 11) + 0.5) * 0x1p-53;

	return -log(uniform) * pace->gap_ns;
}

static void
schedule(struct pace *pace)
{
	if (pace->poisson) {
		pace->at_ns += exponential(pace);
		pace->next_ns = pace->base_ns + (uint64_t)pace->at_ns;
	} else {
		pace->next_ns = pace->base_ns +
		    (uint64_t)(((double)pace->taken + pace->phase) * pace->gap_ns);
	}
}

void
pace_start(struct pace *pace, const struct pace_args *args)
{
	*pace = (struct pace){
		.base_ns = args->start_ns,
		.gap_ns = fmin(1e9 / args->rate, LONGEST_GAP_NS),
		.phase = args->phase,
		.poisson = args->poisson,
		.random = payload_mix(args->seed + 1),
	};
	schedule(pace);
}

void
pace_resume(struct pace *pace, uint64_t now_ns)
{
	if (pace->next_ns >= now_ns)
		return;
	pace->base_ns += now_ns - pace->next_ns;
	pace->next_ns = now_ns;
}

void
pace_take(struct pace *pace)
{
	pace->taken++;
	schedule(pace);
}

uint32_t
pace_pick(struct pace *pace, uint32_t bound)
{
	return (uint32_t)((draw(pace) >> 32) * bound >> 32);
}
