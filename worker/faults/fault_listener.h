/*
 * fault_listener.h - the faults of a listening socket of this worker: which are in
 * effect, and those that concern all of its connections.
 */
#ifndef WORKER_FAULT_LISTENER_H
#define WORKER_FAULT_LISTENER_H

#include <stddef.h>

struct worker;
struct worker_listener;

/* Takes the faults of the configuration. */
void fault_listener_prepare(struct worker_listener *listener);
/* Begins those that concern the listener, once it accepts. */
void fault_listener_start(struct worker_listener *listener);
void fault_listener_stop(struct worker_listener *listener);

/* Replaces the faults of listeners, by the text that the master sends: for each lines
 * "listener ADDRESS", "since NS" (CLOCK_MONOTONIC: when they took effect, by which they
 * are known), and "fault TEXT". */
void fault_listener_set(struct worker *worker, const char *text, size_t length);

#endif
