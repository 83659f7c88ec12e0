/*
 * conn.h - the state machine of a connection: decides, and calls conn_connect,
 * conn_send and conn_receive, which return a status, and conn_close. Nothing here
 * blocks.
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

#include "client/load/conn_close.h"

/* Starts to connect. */
void conn_start(struct load_context *ctx, struct conn *conn);

/* Starts and sends messages as far as possible; ends the connection after the last. */
void conn_advance(struct load_context *ctx, struct conn *conn);

/* epoll reported events of the socket. */
void conn_on_event(struct load_context *ctx, struct conn *conn, uint32_t events);

/* Continues with work left over from the last turn of the loop. */
void conn_on_ready(struct load_context *ctx, struct conn *conn);

void conn_on_timer(struct load_context *ctx, struct conn *conn);

#endif
