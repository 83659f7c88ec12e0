/* conn_connect.h - how a caller's connection begins, or fails to. */
#ifndef CLIENT_LOAD_CONN_CONNECT_H
#define CLIENT_LOAD_CONN_CONNECT_H

#include "client/load/conn.h"

/* Begins to connect; the outcome comes as an event, or at once. */
void conn_connect(struct generator *generator, struct conn *conn);

/* The socket of a connecting caller has an outcome. */
void conn_connect_on_event(struct generator *generator, struct conn *conn);

/* No answer within --connect-timeout. */
void conn_connect_on_timeout(struct generator *generator, struct conn *conn);

/* How long to wait before the next call, after one that brought no answer: longer with
 * each. */
uint64_t conn_connect_backoff_ns(struct conn *conn);

/* Given up before there was an outcome: the run ends. */
void conn_connect_cancel(struct generator *generator, struct conn *conn);

#endif
