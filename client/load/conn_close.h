/* conn_close.h - how a caller's connection ends, in order or not. */
#ifndef CLIENT_LOAD_CONN_CLOSE_H
#define CLIENT_LOAD_CONN_CLOSE_H

#include "lib/clock.h"

#include "client/load/conn.h"

#define CONN_CLOSE_TIMEOUT_NS NS_PER_S /* for the peer's end after ours */

/* In order: everything is answered. By --close: FIN and the peer's end, or a reset. */
void conn_close(struct generator *generator, struct conn *conn);

/* The peer's end came after ours, or was waited for long enough. */
void conn_close_finish(struct generator *generator, struct conn *conn, bool ended);

/* The connection is broken: what is in flight is lost. */
void conn_close_lost(
    struct generator *generator, struct conn *conn, enum message_loss loss);

/* The caller has no connection now: it dials again, or is done. `delay_ns` for later.
 */
void conn_close_next(
    struct generator *generator, struct conn *conn, bool again, uint64_t delay_ns);

#endif
