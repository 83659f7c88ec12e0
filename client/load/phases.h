/*
 * phases.h - when a generator process starts, sends and ends: the phases of a run, and
 * what makes messages due in each shape of load.
 *
 *   connecting  every socket is called
 *   waiting     the parent names the common start when all processes are here
 *   running     closed: an answer makes the next message due (client/load/conn.c)
 *               lockstep: the round of the board does
 *               interval, open: the schedule does (client/load/arrivals.h)
 *   draining    nothing new is begun, answers are waited for
 */
#ifndef CLIENT_LOAD_PHASES_H
#define CLIENT_LOAD_PHASES_H

#include <stdbool.h>
#include <stdint.h>

struct generator;

void phases_start(struct generator *generator);

/* Looks whether a phase or a round is over. */
void phases_step(struct generator *generator);

/* When phases_step or arrivals_run must be called next; UINT64_MAX: never. */
uint64_t phases_next_ns(const struct generator *generator);

bool phases_are_over(const struct generator *generator);

/* Tells the parent that everything is counted. */
void phases_finish(struct generator *generator);

#endif
