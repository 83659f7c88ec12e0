/*
 * rhythm.h - when a generator process starts, sends and ends: the phases of a run, and
 * what makes messages due in each shape of load.
 *
 *   connecting  every socket is called
 *   waiting     the parent names the common start when all processes are here
 *   running     closed: an answer makes the next message due (client/caller.c)
 *               lockstep: the round of the board does
 *               interval, open: the schedule does (client/arrivals.h)
 *   draining    nothing new is begun, answers are waited for
 */
#ifndef CLIENT_RHYTHM_H
#define CLIENT_RHYTHM_H

#include <stdbool.h>
#include <stdint.h>

struct generator;

void rhythm_begin(struct generator *generator);

/* Looks whether a phase or a round is over. */
void rhythm_step(struct generator *generator);

/* When rhythm_step or arrivals_run must be called next; UINT64_MAX: never. */
uint64_t rhythm_next(const struct generator *generator);

bool rhythm_is_over(const struct generator *generator);

/* Tells the parent that everything is counted. */
void rhythm_finish(struct generator *generator);

#endif
