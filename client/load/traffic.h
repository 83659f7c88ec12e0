/*
 * traffic.h - what a connection sends, and what it expects to receive: the interface
 * between the files that drive a socket (conn.c, conn_send.c, conn_receive.c) and the
 * kinds of traffic. A load process has one kind for all connections (ctx->traffic).
 *
 *   traffic_messages   messages and their answers (client/messages/, client/verify/)
 *
 * A kind of traffic counts messages as started and answered (accounting.h). It changes
 * neither the state of a connection nor its socket. conn->send.at is not 0 while a
 * message is partly sent.
 */
#ifndef CLIENT_LOAD_TRAFFIC_H
#define CLIENT_LOAD_TRAFFIC_H

#include "client/load/conn_state.h"

struct traffic {
	/* The bytes to send next, at most LOAD_BUFFER_BYTES, and their number; NULL
	 * without any. They stay valid until the next call. */
	const uint8_t *(*gather)(
	    struct load_context *ctx, const struct conn *conn, size_t *ret_length);

	/* The socket took the first `length` of these bytes. */
	void (*sent)(struct load_context *ctx, struct conn *conn, size_t length);

	/* Bytes arrived, at times.now_ns. */
	void (*received)(struct load_context *ctx, struct conn *conn,
	    const uint8_t *data, size_t length);

	/* Nothing more will arrive on this connection: verdicts that were still open
	 * are made with what there is. */
	void (*end)(struct load_context *ctx, struct conn *conn);

	/* The socket is closed: the next connection starts with a whole message. */
	void (*restart)(struct load_context *ctx, struct conn *conn);

	/* With nothing in flight: the next message is this one (lockstep). */
	void (*seek)(struct load_context *ctx, struct conn *conn, uint64_t message);

	/* The first message in flight of a connection that is lost, and how much of its
	 * answer has arrived. */
	void (*outstanding)(const struct load_context *ctx, const struct conn *conn,
	    struct counters_lost_connection *ret);
};

extern const struct traffic traffic_messages;

#endif
