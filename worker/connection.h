/*
 * connection.h - one open socket of a worker, from accept to close.
 *
 *   serving    reads, answers; waits for room to write while replies are stuck
 *   finishing  reads no more messages; what is owed is sent, then
 *              - after the peer's half-close: closed
 *              - after an error of the peer's: lingering
 *   lingering  our side is shut; what still comes is thrown away until the peer closes,
 * so that no reset overtakes the replies on their way (RFC 1122, 4.2.2.13)
 *
 * An idle connection is this struct and nothing else: unfinished messages and unsent
 * replies live in memory that exists only while there are some.
 */
#ifndef WORKER_CONNECTION_H
#define WORKER_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event_struct.h>

#include "lib/address.h"
#include "lib/buffer.h"

#include "proto/close_reason.h"

struct listener;
struct worker;

enum connection_phase {
	CONNECTION_SERVING,
	CONNECTION_FINISHING,
	CONNECTION_LINGERING,
};

/* The peer's address, packed. */
struct peer {
	uint8_t bytes[16]; /* IPv4 in the first four */
	uint16_t port;     /* host order */
	uint8_t family;    /* AF_INET, AF_INET6 */
};

/* Replies that the kernel has not taken yet. */
struct output {
	struct output *next, *previous; /* in worker->stuck */
	struct connection *owner;
	struct buffer *bytes;
	uint64_t replies;  /* how many are in there */
	uint32_t moved_ms; /* when the peer last took some (worker->now_ms) */
};

struct connection {
	struct event event;
	struct listener *listener;
	struct buffer *input;  /* bytes of messages not yet answered; NULL: none */
	struct output *output; /* NULL: nothing is stuck */
	uint32_t searched;     /* bytes of input known to hold no whole line */
	uint32_t active_ms;    /* when something last came (worker->now_ms) */
	struct peer peer;
	uint8_t place;       /* in its slab (pool.c) */
	uint8_t phase;       /* enum connection_phase */
	uint8_t reason;      /* enum close_reason, of a finishing or lingering one */
	bool reading_paused; /* too much is stuck (limits.max_pending) */
};

/* Takes over an accepted, non-blocking socket and starts to serve it. Closes it, with
 * its reason counted, when that cannot be. */
void connection_open(struct listener *listener, int fd, const struct address *peer);

/* Counts, logs at debug, closes, frees. */
void connection_close(struct connection *connection, enum close_reason reason);

/* Sends data, or keeps what the kernel does not take; `replies` replies end in it.
 * False when the connection was closed over it. */
bool connection_send(struct connection *connection, const uint8_t *data, size_t length,
    uint64_t replies) __attribute__((warn_unused_result));

/* No more messages are read: sends what is owed, then closes for `reason`. False when
 * it is closed already. */
bool connection_finish(struct connection *connection, enum close_reason reason);

/* True while replies over limits.max_pending are stuck. */
bool connection_is_stuffed(const struct connection *connection);

/* Nothing is owed and no message is half-way. */
bool connection_is_settled(const struct connection *connection);

int connection_fd(const struct connection *connection);

#endif
