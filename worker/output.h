/*
 * output.h - replies of a connection that the kernel has not taken yet. Exists only
 * while there are some; all of a worker's stand in one list, for the sweep of stalled
 * writers.
 */
#ifndef WORKER_OUTPUT_H
#define WORKER_OUTPUT_H

#include <stdint.h>

#include "lib/buffer.h"

struct connection;

struct output {
	struct output *next, *previous; /* in worker->stuck */
	struct connection *owner;
	struct buffer *bytes;
	uint64_t replies;     /* how many are in there */
	uint32_t progress_ms; /* when the peer last took some (worker->now_ms) */
};

/* Gives the connection an empty output. NULL with ENOMEM. */
struct output *output_create(struct connection *connection);
/* Takes it away; a connection that has none is left alone. */
void output_destroy(struct connection *connection);

#endif
