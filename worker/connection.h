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

#include "lib/buffer.h"

#include "net/address.h"
#include "net/transport.h"

#include "proto/close_reason.h"
#include "proto/transfer.h"

#include "worker/peer.h"

struct listener;
struct worker;

enum connection_phase {
	CONNECTION_SERVING,
	CONNECTION_FINISHING,
	CONNECTION_LINGERING,
};

/* Replies that the kernel has not taken yet. Exists only while there are some; all of a
 * worker stand in one list, for the timeout of stalled writes. */
struct output {
	struct output *next, *previous; /* in worker->queued_outputs */
	struct connection *owner;
	struct buffer *bytes;
	uint64_t replies;     /* that end in these bytes */
	uint32_t progress_ms; /* when the peer last took some (timeouts.now_ms) */
};

struct connection {
	struct event event;
	struct stream stream;
	struct listener *listener;
	struct buffer *input;  /* bytes of messages not yet answered; NULL: none */
	struct output *output; /* NULL: nothing is stuck */
	uint32_t searched;     /* bytes of input known to hold no whole line */
	uint32_t active_ms;    /* when something last came, or the last reply that had
				* to wait had gone (worker->timeouts.now_ms) */
	struct peer peer;
	uint8_t place;       /* in its slab (connection_pool.c) */
	uint8_t phase;       /* enum connection_phase */
	uint8_t reason;      /* enum close_reason, of a finishing or lingering one */
	bool reading_paused; /* too much is stuck (limits.max_pending) */
	bool frozen;         /* on its way to another worker: nobody touches it */
};

/* Takes over an accepted, non-blocking socket and starts to serve it. Closes it, with
 * its reason counted, when that cannot be. */
void connection_open(struct listener *listener, int fd, const struct address *peer);

/* Counts, logs at debug, closes, frees. */
void connection_close(struct connection *connection, enum close_reason reason);

/* Makes the loop watch what the connection's state wants. False when that failed and
 * the connection is closed. */
bool connection_watch(struct connection *connection)
    __attribute__((warn_unused_result));

/* No more messages are read: sends what is owed, then closes for `reason`. False when
 * it is closed already. */
bool connection_finish(struct connection *connection, enum close_reason reason);
/* The same, when everything owed is sent. */
bool connection_finish_now(struct connection *connection);

/* Bytes of reply that wait for the peer. */
size_t connection_queued_bytes(const struct connection *connection);

/* Gives the connection an empty output. NULL with ENOMEM. */
struct output *connection_create_output(struct connection *connection);
void connection_destroy_output(struct connection *connection);

/* True while replies over limits.max_pending are stuck. */
bool connection_is_over_output_limit(const struct connection *connection);

/* Nothing is owed and no message is half-way. */
bool connection_is_idle(const struct connection *connection);

/* --- hand-over (transfer_send.c, transfer_receive.c) --- */

/* Nothing is read or written until connection_resume. */
void connection_freeze(struct connection *connection);
void connection_resume(struct connection *connection);
/* Another worker has it: counts it as moved out, closes this process's copy. */
void connection_transferred(struct connection *connection);
/* One that came from another worker, suspended; its input and output are still empty.
 * NULL with ENOMEM; fd stays the caller's then. */
struct connection *connection_install(
    struct listener *listener, int fd, const struct transfer_record *record);
/* Frees the memory of a connection and leaves its socket open. */
void connection_free(struct connection *connection);

static inline int
connection_fd(const struct connection *connection)
{
	return connection->stream.fd;
}

#endif
