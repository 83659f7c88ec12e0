/* meter.h - what the generator itself costs, and how late its loop is. */
#ifndef CLIENT_METER_H
#define CLIENT_METER_H

#include <stdint.h>

struct generator;

/* From now on CPU time counts. */
void meter_start(struct generator *generator);

/* The loop has waited for `wake`, and has `events`. */
void meter_turn(struct generator *generator, uint64_t wake_ns, int events);

/* The last figures: what it costs to end is not in them. */
void meter_finish(struct generator *generator);

#endif
