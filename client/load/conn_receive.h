/* conn_receive.h - reads from a connection, and has verified what it reads. */
#ifndef CLIENT_LOAD_CONN_RECEIVE_H
#define CLIENT_LOAD_CONN_RECEIVE_H

#include "client/load/conn_state.h"

enum receive_status {
	RECEIVE_NO_MORE,
	RECEIVE_MORE_LATER, /* the turn is over: continue in the next one */
	RECEIVE_PEER_CLOSED,
	RECEIVE_RESET, /* or another error of the socket, or of TLS */
};

/* Reads what has arrived. A short read ends it, unless the peer has closed
 * (`until_eof`): the edge-triggered event for that comes once, so the EOF must be
 * read. */
enum receive_status conn_receive(
    struct load_context *ctx, struct conn *conn, bool until_eof);

/* After a failed send: reads what arrived before the failure. */
void conn_receive_rest(struct load_context *ctx, struct conn *conn);

#endif
