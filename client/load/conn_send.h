/* conn_send.h - starts and sends the messages of a connection. */
#ifndef CLIENT_LOAD_CONN_SEND_H
#define CLIENT_LOAD_CONN_SEND_H

#include "client/load/conn_state.h"

enum send_status {
	SEND_DONE,    /* everything that may be sent now, or the turn is over */
	SEND_BLOCKED, /* the socket's buffer is full */
	SEND_FAILED,
};

/* Sends what is due, as far as the socket takes it and the plan allows. */
enum send_status conn_send(struct load_context *ctx, struct conn *conn);

#endif
