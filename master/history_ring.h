/*
 * history_ring.h - figures of the server of the last ten minutes, one sample a second.
 * Seconds ascend: a clock that is set back begins the ring anew. An upgrade keeps it.
 */
#ifndef MASTER_HISTORY_RING_H
#define MASTER_HISTORY_RING_H

#include <stdbool.h>
#include <stdint.h>

#define HISTORY_SAMPLES 600

struct json_t; /* jansson.h */

/* Sums since the server started, but `open`. The page makes rates of them. */
/* clang-format off */
#define HISTORY_COLUMNS(X)                                                             \
	X(open) X(accepted) X(closed_by_peer) X(closed_otherwise) X(messages)          \
	X(replies) X(bytes_received) X(bytes_sent) X(queue_overflows) X(faults)
/* clang-format on */

struct history_sample {
	uint64_t second; /* of the epoch */
#define X(name) uint64_t name;
	HISTORY_COLUMNS(X)
#undef X
};

struct history_ring {
	struct history_sample samples[HISTORY_SAMPLES];
	uint64_t count; /* ever; the latest ones are kept */
};

/* False if the ring has a sample of this second. */
bool history_ring_wants(const struct history_ring *ring, uint64_t second);
void history_ring_add(struct history_ring *ring, const struct history_sample *sample);

/* Names of the columns, and a row for each sample after second `since` (all samples if
 * the last one is earlier: then the clock has been set back). NULL when out of memory.
 */
struct json_t *history_ring_columns(void);
struct json_t *history_ring_rows(const struct history_ring *ring, uint64_t since);

/* Fills an empty ring with columns and rows that another program has written. It stays
 * empty if they are malformed or have other columns. */
void history_ring_load(
    struct history_ring *ring, const struct json_t *columns, const struct json_t *rows);

#endif
