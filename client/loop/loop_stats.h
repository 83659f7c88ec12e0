/* loop_stats.h - CPU time of the load process, how late its loop wakes up, and why. */
#ifndef CLIENT_LOOP_LOOP_STATS_H
#define CLIENT_LOOP_LOOP_STATS_H

#include <stdint.h>

struct load_context;

/* Counts CPU time from here on. */
void loop_stats_start(struct load_context *ctx);

/* A turn of the loop begins, which was due at `wake_ns` at the latest; 0: at once. */
void loop_stats_turn(struct load_context *ctx, uint64_t wake_ns);

/* When the next turn must begin at the latest. */
uint64_t loop_stats_next_ns(const struct load_context *ctx);

/* Takes the last sample, before the work of stopping. */
void loop_stats_finish(struct load_context *ctx);

#endif
