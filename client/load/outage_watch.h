/*
 * outage_watch.h - finds the periods in which a connection had no answer for longer
 * than plan->hold_ns (--hold).
 *
 *   answer   message   message                       answer
 *     |         |         |                             |
 *     |         |<------- dark: longer than hold ------>|
 *            intended     no answer                  arrives
 *
 * A period begins at the intended time of the first message that was not answered since
 * the last answer, and ends when the next answer arrives, also on a connection that
 * replaces this one. In an open loop, whose messages go to established connections, the
 * period of a connection that is lost while it is idle begins with the loss; the wait
 * of its replacement for a message does not count. A period lasts to the end of the run
 * if the connection is not back by then. Without --hold nothing is watched
 * (ctx->watches is NULL).
 *
 * Of a message that this client sent late by itself, it is not known whether it would
 * have been answered at once: so far the begin of the period is uncertain.
 */
#ifndef CLIENT_LOAD_OUTAGE_WATCH_H
#define CLIENT_LOAD_OUTAGE_WATCH_H

#include "client/load/conn_state.h"

struct outage_watch;

void outage_watch_start(struct load_context *ctx);
/* Records the periods that last to the end of the run, and frees the memory. */
void outage_watch_finish(struct load_context *ctx);

/* Parts of the functions below that run with --hold. */
void outage_watch_take_answer(struct load_context *ctx, const struct conn *conn,
    const struct queued_message *message, uint64_t arrived_ns);
void outage_watch_take_loss(struct load_context *ctx, const struct conn *conn,
    const struct queued_message *message);
void outage_watch_take_reconnect(struct load_context *ctx, const struct conn *conn);
void outage_watch_take_opening(struct load_context *ctx, const struct conn *conn);
void outage_watch_take_server(
    struct load_context *ctx, const struct conn *conn, int server);
void outage_watch_take_end(
    struct load_context *ctx, const struct conn *conn, enum outage_end how);

/* The message is answered. */
static inline void
outage_watch_answered(struct load_context *ctx, const struct conn *conn,
    const struct queued_message *message, uint64_t arrived_ns)
{
	if (ctx->watches != NULL)
		outage_watch_take_answer(ctx, conn, message, arrived_ns);
}

/* The message will not be answered: its connection is lost. */
static inline void
outage_watch_lost(struct load_context *ctx, const struct conn *conn,
    const struct queued_message *message)
{
	if (ctx->watches != NULL)
		outage_watch_take_loss(ctx, conn, message);
}

/* The connection is lost and is being replaced. */
static inline void
outage_watch_reconnected(struct load_context *ctx, const struct conn *conn)
{
	if (ctx->watches != NULL)
		outage_watch_take_reconnect(ctx, conn);
}

/* It is established, and takes messages. */
static inline void
outage_watch_opened(struct load_context *ctx, const struct conn *conn)
{
	if (ctx->watches != NULL)
		outage_watch_take_opening(ctx, conn);
}

/* The first answer on a connection names its server, by an index of servers from 0. */
static inline void
outage_watch_server(struct load_context *ctx, const struct conn *conn, int server)
{
	if (ctx->watches != NULL)
		outage_watch_take_server(ctx, conn, server);
}

/* The connection is lost and will not be replaced: it was given up (OUTAGE_LOST), or
 * the run has ended (OUTAGE_OPEN). Messages that are due are still in its queue. */
static inline void
outage_watch_ended(
    struct load_context *ctx, const struct conn *conn, enum outage_end how)
{
	if (ctx->watches != NULL)
		outage_watch_take_end(ctx, conn, how);
}

#endif
