/* conn_close.h - the end of a connection: why, what it means for the messages in
 * flight, and when the next one follows. */
#ifndef CLIENT_LOAD_CONN_CLOSE_H
#define CLIENT_LOAD_CONN_CLOSE_H

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

/* Closes the socket, if there is one, accounts for the messages in flight, and makes
 * the connection WAITING (to connect again) or DONE. */
void conn_close(struct load_context *ctx, struct conn *conn, enum conn_end reason);

#endif
