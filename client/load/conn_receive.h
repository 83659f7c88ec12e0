/* conn_receive.h - how a caller reads, and verifies what it reads. */
#ifndef CLIENT_LOAD_CONN_RECEIVE_H
#define CLIENT_LOAD_CONN_RECEIVE_H

#include <stddef.h>
#include <stdint.h>

#include "client/load/conn.h"

/* --slow-read: so many bytes are read at once. */
size_t conn_receive_slow_bytes(uint64_t bytes_per_s);

/* ... and when the next ones are: at the multiples of a time, so that no lag adds up.
 */
uint64_t conn_receive_slow_next_ns(uint64_t bytes_per_s, uint64_t now_ns);

/* Reads what is there. A short read is the end of it; but when the peer has closed, the
 * end itself must be read (`until_eof`): the edge that told of it comes once. May end
 * or lose the connection. */
void conn_receive(struct generator *generator, struct conn *conn, bool until_eof);

/* Sending has failed: what came before that is still read, then the connection is lost.
 */
void conn_receive_rest(struct generator *generator, struct conn *conn);

#endif
