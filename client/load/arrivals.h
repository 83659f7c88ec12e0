/*
 * arrivals.h - what the schedule of a paced load (--rate, --interval) makes due, and
 * whose message it is. Lag is never forgiven: with nobody to send it, a message stays
 * due, and counts from its own time when it is sent.
 */
#ifndef CLIENT_LOAD_ARRIVALS_H
#define CLIENT_LOAD_ARRIVALS_H

#include <stdint.h>

struct generator;

/* The load begins; nothing for one that is not paced. */
void arrivals_start(struct generator *generator, uint64_t start_ns);

/* Gives what is due by now to the callers whose turn it is. */
void arrivals_run(struct generator *generator);

/* At the end: messages that came due while nobody was there to send them were due all
 * the same. */
void arrivals_count_missed(struct generator *generator);

#endif
