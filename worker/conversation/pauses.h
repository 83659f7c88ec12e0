/*
 * pauses.h - what waits for a moment to pass (`pause 100ms` of a conversation): any
 * number of waiters, ordered by a binary heap, with one timer of the kernel for the
 * first of them. A waiter costs 24 bytes while it waits, and nothing otherwise.
 */
#ifndef WORKER_CONVERSATION_PAUSES_H
#define WORKER_CONVERSATION_PAUSES_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event_struct.h>

struct pause {
	uint64_t end_ns; /* CLOCK_MONOTONIC */
	void *waiter;
	uint32_t *place; /* its position in the heap, plus 1 */
};

struct pauses {
	struct pause *heap; /* the first one ends first */
	uint32_t count, capacity;
	uint64_t timer_ns; /* when the timer expires; UINT64_MAX: it is not set */
	bool is_expiring;  /* on_over is being called */
	struct event timer;
	void (*on_over)(void *waiter);
};

/* on_over is called from the loop, once for each pause; it may set and clear others. 0,
 * or -1 with errno. */
int pauses_start(struct pauses *pauses, struct event_base *base,
    void (*on_over)(void *waiter)) __attribute__((warn_unused_result));
/* Also for one that was not started, all zero. */
void pauses_stop(struct pauses *pauses);

/* Starts a pause of `waiter`, or changes its end. *place is a member of the waiter that
 * stays where it is, 0 while there is no pause. 0, or -1 with ENOMEM and nothing
 * changed. */
int pauses_set(struct pauses *pauses, void *waiter, uint32_t *place, uint64_t end_ns)
    __attribute__((warn_unused_result));
/* Ends a pause, if there is one, without a call of on_over. */
void pauses_clear(struct pauses *pauses, uint32_t *place);

#endif
