/*
 * acceptor.h - the listeners of a worker: who is let in, and when nobody is.
 *
 * At most a few connections are accepted for each wake-up, so that a burst of new ones
 * starves no open one. Without descriptors or memory accepting pauses: those who wait
 * in the accept queue stay there.
 */
#ifndef WORKER_ACCEPTOR_H
#define WORKER_ACCEPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct worker;
struct worker_socket;

/* Starts to accept on the sockets (owned from now on). 0, or -1 with errno. */
int acceptor_start(struct worker *worker, const struct worker_socket *sockets,
    size_t count) __attribute__((warn_unused_result));

/* The listener (or all of them: CHANNEL_ALL) closes once nobody has come for a while:
 * for when its socket gets no new arrivals any more, and nobody in its queue may be
 * lost. */
void acceptor_drain_queue(struct worker *worker, unsigned which);
/* The listener closes as soon as nobody waits: for when its queue outlives us. */
void acceptor_drain_queue_once(struct worker *worker, unsigned which);
/* All close once nobody has come for a while, and nobody new comes: for when there is
 * no master that could see to that. */
void acceptor_drain_without_master(struct worker *worker);

/* All listeners close at once, but those whose bit is set. */
void acceptor_queue_taken_over(struct worker *worker, uint64_t except);

/* Closes the listeners that are not being emptied: somebody else serves their queues.
 */
void acceptor_close_listeners(struct worker *worker);

bool acceptor_is_closed(const struct worker *worker);
void acceptor_stop(struct worker *worker);

#endif
