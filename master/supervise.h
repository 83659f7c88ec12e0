/*
 * supervise.h - keeps a worker in each slot: starts, watches, replaces, stops them. The
 * table of states and events is in master/master.h.
 */
#ifndef MASTER_SUPERVISE_H
#define MASTER_SUPERVISE_H

#include <stdint.h>

#include "master/master.h"

/* Starts the timer that watches for hung workers. */
int supervise_start(struct master *master) __attribute__((warn_unused_result));
/* Puts a worker into an empty slot. */
void supervise_fill(struct master *master, uint32_t slot);
/* Collects every child that has ended. */
void supervise_reap(struct master *master);

/* All workers drain and leave, in at most drain_ns (0: no limit); then the loop ends.
 */
void supervise_drain(struct master *master, uint64_t drain_ns);
/* All workers end now; then the loop ends. */
void supervise_stop(struct master *master);

/* Sends a message without descriptor to every worker. */
void supervise_tell_all(struct master *master, uint32_t verb, uint32_t argument);

uint32_t supervise_serving(const struct master *master);

#endif
