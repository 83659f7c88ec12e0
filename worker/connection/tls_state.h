/*
 * tls_state.h - what a connection with TLS has beside struct connection, in one block
 * of the memory that the keeper reads (crash_record.h):
 *
 *   session   keys and sequence numbers; without the rest it continues the connection
 *   partial   the beginning of a record that has not come completely
 *   unsent    sealed records that the kernel has not taken; while there are some, the
 *             queued replies (connection->output) are not empty
 *
 * Cipher contexts and the handshake are memory of the process: contexts are made when
 * they are needed and dropped when the connection is quiet, and a handshake stays with
 * its worker until it is complete.
 */
#ifndef WORKER_TLS_STATE_H
#define WORKER_TLS_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/buffer.h"
#include "net/tls/tls_session.h"

struct connection;
struct worker;
struct tls_ciphers;
struct tls_handshake;

/* Why no more data of the peer will come. */
enum tls_end {
	TLS_END_NONE,
	TLS_END_CLOSED, /* close_notify */
	TLS_END_ALERT,  /* another alert */
	TLS_END_BAD,    /* a record that is not valid */
};

struct tls_state {
	struct tls_session session;
	union {
		struct tls_ciphers *ciphers;     /* NULL: none at the moment */
		struct tls_handshake *handshake; /* is_handshaking */
	};
	struct buffer *partial, *unsent;
	uint8_t end;   /* enum tls_end */
	uint8_t alert; /* to be sent in place of close_notify */
	/* The first byte of the queued replies is the last one of `unsent`: it is
	 * queued until these are sent, so that the queue is not empty before. */
	bool holds_byte;
	bool is_handshaking;
};
_Static_assert(sizeof(struct tls_state) <= 256, "a block of the region");

/* The part that moves with a connection (proto/transfer.h); behind it the bytes of
 * `partial` and `unsent`. */
struct tls_moved {
	struct tls_session session;
	uint32_t partial_bytes, unsent_bytes;
	uint8_t end, alert, holds_byte;
	uint8_t unused[5];
};

/* Gives the connection a zeroed state, with which its stream is one of TLS. 0, or -1
 * with ENOMEM. */
int tls_state_create(struct connection *connection) __attribute__((warn_unused_result));
/* Wipes and frees it. */
void tls_state_destroy(struct connection *connection);

/* The connection's contexts; NULL with ENOMEM. */
struct tls_ciphers *tls_state_ciphers(const struct connection *connection);
/* Drops the contexts of connections without traffic for a second, and lets the peers of
 * others change their keys again. */
void tls_state_drop_quiet(struct worker *worker);
/* Wipes secrets of tickets that have expired. Called by the timer, because a worker may
 * have no handshake for a long time. */
void tls_state_advance_tickets(struct worker *worker);

#endif
