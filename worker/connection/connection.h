/*
 * connection.h - one open socket of a worker, from accept to close.
 *
 *   awaiting a header  (proxy_phase.c) of a load balancer, if the listener expects one
 *   TLS handshake      (tls_phase.c) from accept, or the PROXY header, until all of it
 * is sent, if the listener has TLS serving    reads and answers; while replies are
 * queued it waits for room to write finishing  reads no more messages; sends what is
 * queued, then
 *              - after a half-close of the peer: closed
 *              - after a protocol error of the peer: lingering
 *   lingering  our direction is shut down; further input is discarded until the peer
 *              closes, so that no reset overtakes the replies in flight
 *              (RFC 1122, 4.2.2.13)
 *
 * An idle connection uses only this struct: memory for partial messages and unsent
 * replies is allocated when needed. One that plays a conversation keeps its position
 * and captures as the first bytes of its input (conversation/session.h): they move with
 * it, and survive a crash, as any input does.
 */
#ifndef WORKER_CONNECTION_H
#define WORKER_CONNECTION_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stdint.h>

#include <event2/event_struct.h>

#include "lib/buffer.h"
#include "net/address.h"
#include "net/transport.h"
#include "proto/close_reason.h"
#include "proto/transfer.h"
#include "conf/config.h"

struct fault_state;
struct tls_state;
struct worker_listener;
struct worker;

enum connection_phase {
	CONNECTION_SERVING,
	CONNECTION_FINISHING,
	CONNECTION_LINGERING,
	CONNECTION_AWAITING_HEADER,
	CONNECTION_TLS_HANDSHAKE,
};

/* Replies that the kernel has not taken yet. Exists only while there are some; all of a
 * worker are in one list, for the timeout of stalled writes. */
struct output {
	LIST_ENTRY(output) queued; /* in worker->queued_outputs */
	struct connection *owner;
	struct buffer *bytes;
	uint64_t replies;     /* that end in these bytes */
	uint32_t progress_ms; /* when the peer last took some (timeouts.now_ms) */
};

/* Members that change while bytes of a connection are read and sent (crash_record.h).
 */
#define CONNECTION_STATE                                                               \
	uint64_t received, sent; /* bytes, since it was accepted */                    \
	struct buffer *input;    /* partial or postponed messages; NULL: none */       \
	struct output *output;   /* NULL: nothing is queued */                         \
	uint32_t searched;       /* bytes of input known to hold no whole message */   \
	uint32_t skip;       /* bytes of the replies to input that have been sent */   \
	uint32_t active_ms;  /* when the last bytes arrived or the last queued reply   \
				was sent (timeouts.now_ms) */                          \
	uint8_t phase;       /* enum connection_phase */                               \
	uint8_t reason;      /* enum close_reason: why it finishes or lingers */       \
	bool reading_paused; /* too much output is queued (limits.max_pending), or the \
				conversation pauses */                                 \
	uint8_t deaths;      /* workers in a row that died while they processed it */

struct connection_state {
	CONNECTION_STATE
};

struct connection {
	struct event event;
	struct stream stream;
	struct worker_listener *listener;
	union {
		struct connection_state state;
		struct {
			CONNECTION_STATE
		};
	};
	struct buffer *about;       /* whoami_state.h; NULL: nothing is kept */
	struct fault_state *faults; /* NULL: its listener has none */
	struct tls_state *tls; /* NULL: without TLS, or nothing of it has come yet */
	struct address_compact peer;
	uint16_t socket;       /* number of its listener in worker->accept.listeners */
	uint8_t slab_index;    /* connection_pool.c */
	bool frozen;           /* being transferred: neither read nor written */
	bool was_received;     /* from another worker */
	bool is_in_flight;     /* frozen, and in the batch that this worker sends */
	bool is_recorded;      /* this worker owns it (crash_record.h) */
	bool reading_held : 1; /* by a fault: no event is watched for that */
	bool writing_held : 1; /* the same; queued output waits for a time */
	uint32_t pause_place;  /* in worker->pauses */
};

/* Serves an accepted, non-blocking socket (now owned). On failure it is closed and
 * counted; NULL. */
struct connection *connection_open(
    struct worker_listener *listener, int fd, const struct address *peer);

/* At debug level. */
void connection_log_closed(
    const struct address_compact *peer, enum close_reason reason);
/* Counts, logs at debug level, closes and frees. */
void connection_close(struct connection *connection, enum close_reason reason);
/* As connection_close(), with a reset, which leaves no state in the kernel. */
void connection_refuse(struct connection *connection, enum close_reason reason);

/* Ends the phase AWAITING_HEADER: the connection is one of `peer`, and is served or
 * begins its TLS handshake. */
void connection_set_peer(
    struct connection *connection, const struct address_compact *peer);
/* Ends the phase TLS_HANDSHAKE. */
void connection_serve(struct connection *connection);
/* Ends our direction, and waits for the peer to close. False when it is closed. */
bool connection_linger(struct connection *connection, enum close_reason reason);

/* Makes the loop watch the events of the connection's state. False when that failed and
 * the connection is closed. */
bool connection_watch(struct connection *connection)
    __attribute__((warn_unused_result));

/* Reads no more messages, sends what is queued, then closes with `reason`. False when
 * it is closed already. */
bool connection_finish(struct connection *connection, enum close_reason reason);
/* Continues when all queued output is sent. */
bool connection_finish_now(struct connection *connection);

/* Gives the connection an empty output. NULL with ENOMEM. */
struct output *connection_create_output(struct connection *connection);
void connection_destroy_output(struct connection *connection);
/* True while more than limits.max_pending is queued. */
bool connection_is_over_output_limit(const struct connection *connection);

/* Sets the event callback of a connection that is not watched, by its state. */
void connection_set_callback(struct connection *connection);

/* Stops reading and writing until connection_resume, for a transfer. */
void connection_freeze(struct connection *connection);
/* False when that failed and the connection is closed. */
bool connection_resume(struct connection *connection);
/* Another worker owns it now: counts it as moved out and closes this copy. */
void connection_transferred(struct connection *connection);
/* Makes a frozen connection of a received record; its input and output are still empty.
 * It counts as arriving until is_recorded. NULL with ENOMEM; fd is then still the
 * caller's. */
struct connection *connection_install(
    struct worker_listener *listener, int fd, const struct transfer_record *record);
/* Its batch is published (-1), or is so no longer (1): proto/open_count.h. */
void connection_count_arriving(const struct connection *connection, int n);
/* Frees the memory and leaves the socket open. */
void connection_free(struct connection *connection);

/* Bytes of queued replies. */
static inline size_t
connection_queued_bytes(const struct connection *connection)
{
	return connection->output == NULL ? 0
					  : buffer_length(connection->output->bytes);
}

/* True if it plays a conversation and is between two passes. */
bool connection_is_between_passes(const struct connection *connection);
/* True without queued output and partial message or pass. */
bool connection_is_idle(const struct connection *connection);

/* The phase of a connection that was accepted at such a listener. */
static inline enum connection_phase
connection_first_phase(const struct listener_config *config)
{
	if (config->proxy_protocol != PROXY_OFF)
		return CONNECTION_AWAITING_HEADER;
	return config->tls.context != NULL ? CONNECTION_TLS_HANDSHAKE
					   : CONNECTION_SERVING;
}

/* Counted in limits.handshakes, and bounded by timeouts.handshake. */
static inline bool
connection_phase_is_handshake(uint8_t phase)
{
	return phase == CONNECTION_AWAITING_HEADER || phase == CONNECTION_TLS_HANDSHAKE;
}

/* Bytes that are read in this phase are kept or answered. */
static inline bool
connection_phase_takes_input(uint8_t phase)
{
	return phase == CONNECTION_SERVING || connection_phase_is_handshake(phase);
}

static inline int
connection_fd(const struct connection *connection)
{
	return connection->stream.fd;
}

/* Why a connection ends after errno of recv(2) or send(2). */
enum close_reason connection_reason_of(int error);

#endif
