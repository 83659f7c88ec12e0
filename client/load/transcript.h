/*
 * transcript.h - what each connection does, as text, for tests with a few connections
 * (--transcript), on stdout.
 *
 * One line per event, written at once. A reader that stalls does not stop the load: the
 * lines wait in memory, at most TRANSCRIPT_QUEUED_MAX bytes; beyond that they are
 * dropped and counted. All functions do nothing unless the plan asks for a transcript.
 */
#ifndef CLIENT_LOAD_TRANSCRIPT_H
#define CLIENT_LOAD_TRANSCRIPT_H

#include "lib/buffer.h"
#include "lib/system/sink.h"
#include "client/load/conn_state.h"

#define TRANSCRIPT_QUEUED_MAX (16 << 20)

struct transcript {
	struct sink sink;
	struct buffer *queued;
	unsigned long dropped; /* lines */
	bool has_failed;       /* stdout is closed, or its disk is full */
};

/* For a load process whose plan asks for it; ctx->transcript points to it. */
void transcript_start(struct load_context *ctx, struct transcript *transcript);
/* Writes what waits, as long as a reader takes some of it every few seconds, and logs
 * how many lines were dropped. */
void transcript_finish(struct load_context *ctx);

void transcript_connected(const struct load_context *ctx, const struct conn *conn);
void transcript_connect_failed(const struct load_context *ctx, const struct conn *conn,
    const struct address *address, int error);
/* "closing", "reset by the peer", ... */
void transcript_event(
    const struct load_context *ctx, const struct conn *conn, const char *event);
void transcript_write_data(const struct load_context *ctx, const struct conn *conn,
    enum conversation_role speaker, const uint8_t *data, size_t length);

/* Data sent or received; in a conversation in the notation of its file. Inline, because
 * it is called for each message. */
static inline void
transcript_data(const struct load_context *ctx, const struct conn *conn,
    enum conversation_role speaker, const uint8_t *data, size_t length)
{
	if (__builtin_expect(ctx->transcript != NULL, 0))
		transcript_write_data(ctx, conn, speaker, data, length);
}

#endif
