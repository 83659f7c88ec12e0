/*
 * live_event.h - a run at one moment, and its JSON object "yodel.event/1"
 * (client/events.schema.json): a line of --json-lines, an event of /events.
 */
#ifndef CLIENT_LIVE_LIVE_EVENT_H
#define CLIENT_LIVE_LIVE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "client/result/result.h"

#define LIVE_EVENT_SCHEMA "yodel.event/1"

enum live_phase {
	LIVE_CONNECTING, /* also while waiting for the common start */
	LIVE_WARMUP,
	LIVE_RUNNING,
	LIVE_DRAINING,
	LIVE_FINISHED, /* the result is complete */
	LIVE_PHASE_COUNT
};
extern const char *const live_phase_names[LIVE_PHASE_COUNT];

struct live_snapshot {
	const struct result *result; /* so far; NULL: no run has started */
	enum live_phase phase;
	uint64_t connections_open;
	uint64_t time_ns; /* CLOCK_REALTIME of all that */
	size_t step;      /* of --search, from 1; 0: none */
	double rate;      /* planned for this step, messages per second of all ranks */
};

/* One line without its newline; heap. */
char *live_event_format(const struct live_snapshot *snapshot)
    __attribute__((malloc, returns_nonnull, warn_unused_result));

#endif
