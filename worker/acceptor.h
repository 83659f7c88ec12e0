/*
 * acceptor.h - accepts connections from the listening sockets of a worker until the
 * worker drains, and empties accept queues before a socket is closed.
 *
 * At most a few connections are accepted per wake-up, so that a burst of new ones does
 * not starve the open ones. Without descriptors or memory accepting pauses: connections
 * then stay in the kernel's accept queue.
 */
#ifndef WORKER_ACCEPTOR_H
#define WORKER_ACCEPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct address;
struct ledger;
struct worker;
struct worker_socket;

/* Starts to accept on the sockets (now owned). 0, or -1 with errno. */
int acceptor_start(struct worker *worker, const struct worker_socket *sockets,
    size_t count) __attribute__((warn_unused_result));

/* The address that connections of the socket arrive at. 0, or -1. */
int acceptor_socket_address(const struct config *config, const struct ledger *ledger,
    const struct worker_socket *socket, struct address *ret)
    __attribute__((warn_unused_result));

/* Closes the listener of that number (CHANNEL_ALL: all) after a quiet period: for a
 * socket that gets no new connections, so that none in its accept queue is reset. */
void acceptor_drain_queue(struct worker *worker, unsigned number);
/* Closes the listener as soon as its accept queue is empty: for a queue that another
 * process keeps open. */
void acceptor_drain_queue_once(struct worker *worker, unsigned number);
/* For a worker whose master has died: blocks new connections on all listeners, then
 * closes each after a quiet period; or, if a service manager keeps the sockets for the
 * next master, as soon as its queue is empty. */
void acceptor_drain_without_master(struct worker *worker);

/* Closes all listeners at once, except those whose bit is set in `except`: other
 * processes serve their accept queues. */
void acceptor_queue_taken_over(struct worker *worker, uint64_t except);
/* Closes the listeners whose accept queues are not being drained here. */
void acceptor_close_listeners(struct worker *worker);

bool acceptor_is_closed(const struct worker *worker);
void acceptor_stop(struct worker *worker);

#endif
