/*
 * conn.h - the state machine of a connection: decides, and calls conn_connect,
 * conn_send and conn_receive, which return a status. Nothing here blocks.
 *
 *   WAITING --> CONNECTING -+-> OPENING -+-> OPEN -+-> ENDING -+--FIN--> CLOSING -->
 * DONE ^             |      +------------+         +-----------+            |
 *      +-- again ----+---------- or the connection is lost -----------------+
 *
 * OPENING and ENDING are states of conversations only. With TLS, HANDSHAKE follows
 * CONNECTING.
 */
#ifndef CLIENT_LOAD_CONN_H
#define CLIENT_LOAD_CONN_H

#include "client/load/conn_state.h"

enum conn_end {
	/* The connection is lost, and with it the messages in flight. */
	CONN_CLOSE_TIMEOUT = MESSAGE_LOSS_TIMEOUT,
	CONN_CLOSE_RESET = MESSAGE_LOSS_RESET,
	CONN_CLOSE_BY_PEER = MESSAGE_LOSS_CLOSED,
	CONN_CLOSE_MISMATCH = MESSAGE_LOSS_MISMATCH, /* by us: a wrong answer */
	CONN_CLOSE_TLS = MESSAGE_LOSS_TLS,           /* by an alert, theirs or ours */
	/* Every message is answered. */
	CONN_CLOSE_FINISHED,       /* the peer's FIN came after ours */
	CONN_CLOSE_PEER_RESET,     /* a RST came after our FIN */
	CONN_CLOSE_NO_FIN,         /* the peer's FIN did not come in time */
	CONN_CLOSE_OWN_RESET,      /* by our RST (--close rst, C reset) */
	CONN_CLOSE_EXPECTED_RESET, /* by the peer's (S reset) */
	/* The connection was never established. */
	CONN_CLOSE_CONNECT_FAILED,
	CONN_CLOSE_CANCELLED, /* the run ends first */
};

/* Starts to connect. */
void conn_start(struct load_context *ctx, struct conn *conn);

/* Starts and sends messages as far as possible; ends the connection after the last. */
void conn_advance(struct load_context *ctx, struct conn *conn);

/* epoll reported events of the socket. */
void conn_on_event(struct load_context *ctx, struct conn *conn, uint32_t events);

/* Continues with work left over from the last turn of the loop. */
void conn_on_ready(struct load_context *ctx, struct conn *conn);

void conn_on_timer(struct load_context *ctx, struct conn *conn);

/* Closes the socket, if there is one, accounts for the messages in flight, and makes
 * the connection WAITING (to connect again) or DONE. */
void conn_close(struct load_context *ctx, struct conn *conn, enum conn_end reason);

#endif
