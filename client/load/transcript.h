/*
 * transcript.h - what each connection does, as text, for tests with a few connections
 * (--transcript). One line per event, flushed at once. All functions do nothing unless
 * ctx->transcript is set.
 */
#ifndef CLIENT_LOAD_TRANSCRIPT_H
#define CLIENT_LOAD_TRANSCRIPT_H

#include "client/load/conn_state.h"

void transcript_connected(const struct load_context *ctx, const struct conn *conn);
void transcript_connect_failed(const struct load_context *ctx, const struct conn *conn,
    const char *target, int error);
/* "closing", "reset by the peer", ... */
void transcript_event(
    const struct load_context *ctx, const struct conn *conn, const char *event);
/* "sending" or "received", and the data. */
void transcript_data(const struct load_context *ctx, const struct conn *conn,
    const char *event, const uint8_t *data, size_t length);

#endif
