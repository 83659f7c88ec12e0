/*
 * accounting.h - counts each message as sent, answered or lost, and records lost
 * connections. No other file writes the message counters, so that they always add up
 * (client/measure/counters.h).
 */
#ifndef CLIENT_LOAD_ACCOUNTING_H
#define CLIENT_LOAD_ACCOUNTING_H

#include "client/load/conn_state.h"

static inline void
accounting_record(const struct load_context *ctx, enum latency_kind kind, uint64_t ns)
{
	histogram_record(ctx->counters->histograms[kind], ns);
}

static inline void
accounting_record_many(
    const struct load_context *ctx, enum latency_kind kind, uint64_t ns, uint64_t count)
{
	histogram_record_many(ctx->counters->histograms[kind], ns, count);
}

/* The socket took the first bytes of the next `count` due messages. */
void accounting_started(struct load_context *ctx, struct conn *conn, uint64_t count);

/* The oldest message is answered, correctly or not, or needs no answer. `now_ns`: when
 * its answer was complete. */
void accounting_answered(
    struct load_context *ctx, struct conn *conn, bool is_correct, uint64_t now_ns);
/* The oldest `count` messages are answered correctly, at the same time. */
void accounting_answered_many(
    struct load_context *ctx, struct conn *conn, uint64_t count, uint64_t now_ns);

void accounting_set_released(
    struct load_context *ctx, struct conn *conn, uint32_t released);

/* Number of messages in flight that need not be waited for (client/verify/verify.h). */
static inline void
accounting_released(struct load_context *ctx, struct conn *conn, uint32_t released)
{
	/* An answer that came twice is released, also when no message waits for it. */
	if (released > conn->in_flight)
		released = conn->in_flight;
	if (released != conn->released)
		accounting_set_released(ctx, conn, released);
}

/* The connection, with a message in flight, was silent between these times. */
void accounting_silent(
    struct load_context *ctx, struct conn *conn, uint64_t since_ns, uint64_t at_ns);

/* Bytes arrived at that time, before they are accounted for, or the connection is lost:
 * notes how long it was silent with a message in flight. */
static inline void
accounting_heard(struct load_context *ctx, struct conn *conn, uint64_t at_ns)
{
	if (conn->in_flight == 0)
		return;
	uint64_t written_ns =
	    message_queue_at(&ctx->message_pool, conn->queue.head)->written_ns;
	uint64_t since_ns =
	    conn->received_ns > written_ns ? conn->received_ns : written_ns;
	if (at_ns > since_ns + (uint64_t)conn->silent_us * NS_PER_US)
		accounting_silent(ctx, conn, since_ns, at_ns);
}

/* The connection has nothing left to do. */
void accounting_finished(struct load_context *ctx, struct conn *conn);

/* A connect at one address has failed; its socket, if there is one, is still open. */
void accounting_connect_failed(
    struct load_context *ctx, const struct conn *conn, enum connect_failure failure);

/* The connection is lost with its messages in flight. The first ones are recorded with
 * the time and the state they were in. Called before the socket is closed. */
void accounting_connection_lost(
    struct load_context *ctx, struct conn *conn, enum message_loss loss);

#endif
