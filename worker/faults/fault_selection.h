/*
 * fault_selection.h - which faults of its listener happen to a connection now. Decides,
 * and changes nothing.
 */
#ifndef WORKER_FAULT_SELECTION_H
#define WORKER_FAULT_SELECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/faults/fault_decision.h"

struct connection;

/* Where the connection is with that message (the first is 1). */
struct fault_point fault_selection_point(
    const struct connection *connection, uint64_t message);

/* True if the fault with that number in the list happens to the connection at its age.
 * It may have happened already. */
bool fault_selection_at_age(const struct connection *connection, size_t number);
/* When the next one of them is due (CLOCK_MONOTONIC); FAULT_FOR_EVER: none. */
uint64_t fault_selection_next_age_ns(const struct connection *connection);
/* True if the fault happens to the connection at a message. */
bool fault_selection_at_message(
    const struct fault *fault, const struct fault_point *point);
/* The fault that acts first within the next `bytes` of replies or at their end, and has
 * not happened; *ret_at: after how many of them. NULL: none. */
const struct fault *fault_selection_cut(const struct connection *connection,
    uint64_t bytes, uint64_t *ret_at, size_t *ret_number);

#endif
