/*
 * progress.h - one line about a run that goes on: refreshed in place on a terminal, a
 * line of its own each time when piped and asked for.
 */
#ifndef CLIENT_MEASURE_PROGRESS_H
#define CLIENT_MEASURE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "client/measure/sampler.h"

struct progress {
	FILE *file; /* stderr; NULL: show nothing */
	bool terminal;
	bool shown;         /* a line stands on the terminal */
	uint64_t next_ns;   /* not before */
	uint64_t last_ns;   /* of the figures below */
	uint64_t last_done; /* messages answered then */
};

/* By the plan's --progress and --quiet, and whether stderr is a terminal. */
void progress_init(struct progress *progress, const struct plan *plan);

/* Shows where the run is, when it is time (4 times a second on a terminal, else once).
 * The p99 is that of the last whole second of the watch. */
void progress_show(
    struct progress *progress, const struct sampler *sampler, uint64_t now_ns);

/* Takes the line away, so that a report starts on a clean one. */
void progress_clear(struct progress *progress);

#endif
