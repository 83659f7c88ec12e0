/*
 * fault_decision.h - which faults happen: a function of the seed, the listener, the
 * fault, the client's address and port, and the number of the message. It depends on
 * no worker and on no time, but for faults that select by time.
 */
#ifndef PROTO_FAULTS_FAULT_DECISION_H
#define PROTO_FAULTS_FAULT_DECISION_H

#include <stdbool.h>
#include <stdint.h>

#include "net/address.h"
#include "proto/faults/fault.h"

/* Seed of a listener, from fault_seed and its address as configured. */
uint64_t fault_listener_seed(uint64_t seed, const char *listener);
/* Seed of one of its connections. */
uint64_t fault_connection_seed(
    uint64_t listener_seed, const struct address_compact *peer);

/* A reproducible sequence of numbers. */
struct fault_random {
	uint64_t state;
};
uint64_t fault_random_next(struct fault_random *random);
/* From 0 to below `end`, which is not 0. */
uint64_t fault_random_below(struct fault_random *random, uint64_t end);
/* For what a fault does to a message (0: to the connection), once it happens. */
struct fault_random fault_random_of(
    const struct fault *fault, uint64_t connection_seed, uint64_t message);

/* Where a decision is made. */
struct fault_point {
	uint64_t connection_seed;
	const struct address_compact *peer;
	uint64_t message; /* from 1; 0: no message */
	uint64_t offset;  /* bytes of replies before it */
	uint64_t age_ns;  /* of the connection */
};

/* Whether the connection can have the fault at all: share of connections, address. */
bool fault_selects_connection(const struct fault *fault, uint64_t connection_seed,
    const struct address_compact *peer);
/* Whether the fault happens to this message. */
bool fault_selects(const struct fault *fault, const struct fault_point *point);

/* A delay by the fault's law, in ns. */
uint64_t fault_delay_ns(const struct fault *fault, struct fault_random *random);

#endif
