/*
 * progress.h - the progress line of a run: refreshed in place on a terminal, a new line
 * each time if --progress is given and stderr is not a terminal. A line that stderr
 * does not take at once is skipped.
 */
#ifndef CLIENT_MEASURE_PROGRESS_H
#define CLIENT_MEASURE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/system/sink.h"
#include "client/measure/sampler.h"

struct progress {
	bool is_shown; /* the run has a progress line */
	bool terminal;
	struct sink sink;   /* stderr, if is_shown */
	bool has_line;      /* the terminal shows one */
	uint64_t next_ns;   /* time of the next refresh */
	uint64_t last_ns;   /* time of last_done */
	uint64_t last_done; /* messages answered at last_ns */
};

/* Decides by --progress, --quiet and whether stderr is a terminal. */
void progress_init(struct progress *progress, const struct plan *plan);

/* Shows the state of the run if a refresh is due (4 times per second on a terminal,
 * else once). The p99 is that of the last second. */
void progress_show(
    struct progress *progress, const struct sampler *sampler, uint64_t now_ns);

/* Erases the line, so that the report starts on an empty one. */
void progress_finish(struct progress *progress);

#endif
