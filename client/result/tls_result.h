/*
 * tls_result.h - the TLS part of a result: how many handshakes, what was negotiated,
 * why connections failed, the certificates of the targets.
 */
#ifndef CLIENT_RESULT_TLS_RESULT_H
#define CLIENT_RESULT_TLS_RESULT_H

#include "client/result/result.h"

/* From the counters of all load processes, and their sum. */
void tls_result_collect(const struct plan *plan,
    const struct counters_map *counters_map, const struct counters *sum,
    struct result *ret);

/* Adds the lists of another result, by text and by fingerprint. */
void tls_result_merge(struct result *into, const struct result *from);

#endif
