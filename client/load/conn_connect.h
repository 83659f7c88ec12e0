/* conn_connect.h - opens and connects the socket of a connection. Counts attempts and
 * their outcome; the caller changes the state of the connection. */
#ifndef CLIENT_LOAD_CONN_CONNECT_H
#define CLIENT_LOAD_CONN_CONNECT_H

#include "client/load/conn_state.h"

enum connect_status {
	/* An event of the socket will tell, or the timer: of a Unix socket whose accept
	 * queue is full (full_tries). */
	CONNECT_STARTED,
	CONNECT_HANDSHAKE, /* connected: continue with conn_connect_shake() */
	CONNECT_ESTABLISHED,
	CONNECT_FAILED, /* at every address of the target, or in the TLS handshake */
};

/* Starts to connect to the target of the connection: at the address that served it
 * last, then at each of the others. */
enum connect_status conn_connect(struct load_context *ctx, struct conn *conn);

/* Reads the outcome after an event of the socket. On failure tries the next address of
 * the target. */
enum connect_status conn_connect_finish(struct load_context *ctx, struct conn *conn);

/* Continues the TLS handshake: CONNECT_STARTED, _ESTABLISHED or _FAILED. */
enum connect_status conn_connect_shake(struct load_context *ctx, struct conn *conn);
/* The TLS handshake took too long: CONNECT_FAILED. */
enum connect_status conn_connect_give_up(struct load_context *ctx, struct conn *conn);
/* The timer of a connection that is connecting. */
enum connect_status conn_connect_on_timer(struct load_context *ctx, struct conn *conn);

/* Closes the socket of a connection that is not established, if it has one. */
void conn_connect_close(struct load_context *ctx, struct conn *conn);

#endif
