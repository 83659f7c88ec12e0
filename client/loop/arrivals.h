/*
 * arrivals.h - makes messages due by the schedule of an open load (--rate, --interval),
 * and chooses the connection of each. Lateness is always counted: if no connection can
 * send it, a message stays due, and its latency counts from its intended time.
 */
#ifndef CLIENT_LOOP_ARRIVALS_H
#define CLIENT_LOOP_ARRIVALS_H

#include <stdint.h>

struct load_context;

/* Starts the schedule; no effect for a load without one. */
void arrivals_start(struct load_context *ctx, uint64_t start_ns);

/* Gives the messages that are due now to their connections. */
void arrivals_run(struct load_context *ctx);

/* At the end: counts as due the messages that no connection could take. */
void arrivals_count_missed(struct load_context *ctx);

#endif
