/* tls_explain.h - the reason of a failed handshake in words; for files of this folder.
 */
#ifndef NET_TLS_EXPLAIN_H
#define NET_TLS_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/tls/tls_observer.h"

#define TLS_FIRST_BYTES 24 /* kept of the input, to name what is not TLS */

/* True if the peer's first bytes are no TLS record: then kind and reason are set. */
bool tls_explain_first_bytes(
    struct tls_observer *observer, const uint8_t *bytes, size_t length);
/* Sets kind and reason, unless a callback did, from the alerts, OpenSSL's error queue
 * and what the peer offered; empties the queue. */
void tls_explain_failure(
    struct tls_observer *observer, const struct tls_context *context);
/* The connection ended: error 0 or errno. */
void tls_explain_cut(struct tls_observer *observer, int error);

#endif
