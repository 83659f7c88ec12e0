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
void transcript_sent(const struct load_context *ctx, const struct conn *conn,
    const uint8_t *data, size_t length);
void transcript_received(const struct load_context *ctx, const struct conn *conn,
    const uint8_t *data, size_t length);
void transcript_lost(
    const struct load_context *ctx, const struct conn *conn, enum message_loss loss);
void transcript_closing(const struct load_context *ctx, const struct conn *conn);

#endif
