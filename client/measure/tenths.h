/*
 * tenths.h - rows of 100 ms around events: of each second in which something was lost
 * or wrong, of the one before and of the one after. They have no latencies.
 */
#ifndef CLIENT_MEASURE_TENTHS_H
#define CLIENT_MEASURE_TENTHS_H

#include <stddef.h>

#include "client/measure/sampler_row.h"

#define TENTHS_NS (100 * NS_PER_MS)
#define TENTHS_MAX 1200 /* rows that a run keeps: two minutes */
#define TENTHS_PER_SECOND 16

/* The rows of one second. */
struct tenths_second {
	struct sampler_second rows[TENTHS_PER_SECOND];
	size_t count;
	bool is_kept; /* its rows are in `rows` of struct tenths */
};

/* Zeroed to start. */
struct tenths {
	struct sampler_second *rows; /* kept, in order of time; owned */
	size_t count, room;
	struct tenths_second now, before;
	bool had_event; /* in the second before */
};

/* Adds a row of the current second. */
void tenths_add(struct tenths *tenths, const struct sampler_second *row);
/* The second is over: keeps its rows, and those before, if something happened. */
void tenths_end_second(struct tenths *tenths);
void tenths_finish(struct tenths *tenths);

#endif
