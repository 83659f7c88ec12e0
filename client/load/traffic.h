/*
 * traffic.h - what a connection sends, and what it expects to receive: the interface
 * between the files that drive a socket (conn.c, conn_send.c, conn_receive.c) and the
 * kinds of traffic. A load process has one kind for all connections (ctx->traffic).
 *
 *   traffic_messages      messages and their answers (client/messages/, client/verify/)
 *   traffic_whoami        messages, and answers that tell what the server sees
 *   traffic_conversation  the client's side of a file (proto/conversation/)
 *
 * A kind of traffic counts messages as started and answered (accounting.h). It changes
 * neither the state of a connection nor its socket: what a conversation needs of them
 * it requests (`next`). conn->send.at is not 0 while a message is partly sent.
 */
#ifndef CLIENT_LOAD_TRAFFIC_H
#define CLIENT_LOAD_TRAFFIC_H

#include "client/load/conn_state.h"

enum traffic_request {
	TRAFFIC_NONE,       /* send, receive or wait */
	TRAFFIC_OPENED,     /* messages may be started from now on */
	TRAFFIC_RESUMED,    /* a pause is over: send */
	TRAFFIC_HALF_CLOSE, /* these three when everything was sent */
	TRAFFIC_CLOSE,
	TRAFFIC_RESET,
	TRAFFIC_FINISHED, /* nothing is left to send or to receive */
	TRAFFIC_MISMATCH, /* the connection is of no more use: a wrong answer */
};

struct traffic {
	/* Memory for all connections of a load process, at its start and its end. */
	void (*start)(struct load_context *ctx);
	void (*finish)(struct load_context *ctx);

	/* The bytes to send next, at most LOAD_BUFFER_BYTES, and their number; NULL
	 * without any. They stay valid until the next call. */
	const uint8_t *(*gather)(
	    struct load_context *ctx, struct conn *conn, size_t *ret_length);

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

	/* The answers for which a connection that is lost waited: sets message,
	 * last_message, offset and end. */
	void (*place)(const struct load_context *ctx, const struct conn *conn,
	    struct finding *ret);

	/* Fills *ret with what was outstanding on a lost connection. */
	void (*outstanding)(const struct load_context *ctx, const struct conn *conn,
	    struct counters_lost_connection *ret);

	/* NULL, like all that follow: connections are open when they are established,
	 * and closed when no message is left.
	 *
	 * The connection is established: its opening begins. */
	void (*open)(struct load_context *ctx, struct conn *conn);

	/* No more messages will be started: what comes before the close begins. */
	void (*close)(struct load_context *ctx, struct conn *conn);

	/* Returns the next request; the previous one has been carried out. */
	enum traffic_request (*next)(struct load_context *ctx, struct conn *conn);

	/* The peer ended its stream, or reset the connection. True if it was to. */
	bool (*peer_ended)(struct load_context *ctx, struct conn *conn, bool is_reset);

	/* The peer has reset a connection that is held: pauses end now, so that the
	 * reset is read. NULL: nothing is held. */
	void (*end_pauses)(struct load_context *ctx, struct conn *conn);

	/* Since when the connection waits for the peer; 0: it does not. */
	uint64_t (*waiting_since)(
	    const struct load_context *ctx, const struct conn *conn);

	/* End of a pause; TIMER_WHEEL_NEVER: no pause. */
	uint64_t (*resume_ns)(const struct load_context *ctx, const struct conn *conn);
};

extern const struct traffic traffic_messages;
extern const struct traffic traffic_whoami;
extern const struct traffic traffic_conversation;

/* Parts of traffic_messages that traffic_whoami shares. */
const uint8_t *traffic_messages_gather(
    struct load_context *ctx, struct conn *conn, size_t *ret_length);
void traffic_messages_sent(struct load_context *ctx, struct conn *conn, size_t length);

#endif
