/*
 * tls_counts.h - TLS connections, counted by what was negotiated and by why they
 * failed: tables of texts and certificates in the shared memory, to which each load
 * process adds what it meets first. A table that is full counts no further texts.
 */
#ifndef CLIENT_MEASURE_TLS_COUNTS_H
#define CLIENT_MEASURE_TLS_COUNTS_H

#include "client/measure/counters.h"

/* Counts one connection under that text, which is cut to COUNTERS_TLS_TEXT_MAX. */
void tls_counts_add(struct control_block *control_block, struct counters *counters,
    enum counters_tls_kind kind, const char *text);

/* Adds a certificate, unless one of that target has the same fingerprint. */
void tls_counts_add_certificate(struct control_block *control_block,
    const struct counters_certificate *certificate);

/* The entries of the tables that are complete; they are never removed. */
size_t tls_counts_texts(const struct control_block *control_block);
size_t tls_counts_certificates(const struct control_block *control_block);

#endif
