/* loop_stats.h - what the generator itself costs, and how late its loop is. */
#ifndef CLIENT_LOAD_LOOP_STATS_H
#define CLIENT_LOAD_LOOP_STATS_H

#include <stdint.h>

struct generator;

/* From now on CPU time counts. */
void loop_stats_start(struct generator *generator);

/* The loop has waited for `wake`, and has `events`. */
void loop_stats_turn(struct generator *generator, uint64_t wake_ns, int events);

/* The last figures: what it costs to end is not in them. */
void loop_stats_finish(struct generator *generator);

#endif
