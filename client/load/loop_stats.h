/* loop_stats.h - CPU time of the load process, and how late its loop wakes up. */
#ifndef CLIENT_LOAD_LOOP_STATS_H
#define CLIENT_LOAD_LOOP_STATS_H

#include <stdint.h>

struct load_context;

/* Counts CPU time from here on. */
void loop_stats_start(struct load_context *ctx);

/* The loop has waited until `wake_ns` at the latest, and has `events` events. */
void loop_stats_turn(struct load_context *ctx, uint64_t wake_ns, int events);

/* Takes the last sample, before the work of stopping. */
void loop_stats_finish(struct load_context *ctx);

#endif
