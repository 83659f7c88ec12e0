/* conn_send.h - how a caller sends. */
#ifndef CLIENT_LOAD_CONN_SEND_H
#define CLIENT_LOAD_CONN_SEND_H

#include "client/load/conn.h"

/* Begins and writes what is due, as far as the kernel takes it and the plan allows. May
 * lose the connection. */
void conn_send(struct generator *generator, struct conn *conn);

#endif
