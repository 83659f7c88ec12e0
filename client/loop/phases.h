/*
 * phases.h - the phases of a load process, and what makes messages due in each kind of
 * load.
 *
 *   connecting  every connection is being established
 *   waiting     for the common start, which the parent sets when all processes wait
 *   running     closed: an answer makes the next message due (conn_send.c)
 *               lockstep: the round in the control block does
 *               interval, open: the schedule does (arrivals.h)
 *   draining    starts no new message, waits for answers
 */
#ifndef CLIENT_LOOP_PHASES_H
#define CLIENT_LOOP_PHASES_H

#include <stdbool.h>
#include <stdint.h>

struct load_context;

void phases_start(struct load_context *ctx);

/* Checks whether a phase or a round is over, and starts the next one. */
void phases_step(struct load_context *ctx);

/* When phases_step or arrivals_run must be called at the latest; UINT64_MAX: never. */
uint64_t phases_next_ns(const struct load_context *ctx);

bool phases_are_over(const struct load_context *ctx);

/* Tells the parent that the counters are complete. */
void phases_finish(struct load_context *ctx);

#endif
