/*
 * own_delay.h - the part of a response time that this client caused itself, because it
 * had no CPU, was stopped, or was busy with other connections.
 *
 *   intended      ready          sent           arrived         read
 *      |--blocked---|--send_lag---|--server, path--|--receive_lag--|
 *      |-------------------------- response -----------------------|
 *
 * Own delay = send_lag + receive_lag + what the delay of an earlier answer added to
 * blocked. A message is ready when the connection could take it (conn.ready_ns).
 *
 * The arrival costs a slower system call, so it is asked for in a sample of the reads:
 *
 *   - all that answer one of the slowest 1.5 % of the messages, weight 1;
 *   - all on a connection with messages that wait for this answer, weight 1;
 *   - with --hold, all on a connection with several in flight or one that was without
 *     an answer for so long, weight 1;
 *   - of the others 1 in OWN_DELAY_STRIDE by chance, with that weight.
 *
 * Two histograms of the same messages, as measured and without the own delay, then show
 * what the client changed in each percentile (client/result/client_delay.h).
 */
#ifndef CLIENT_LOAD_OWN_DELAY_H
#define CLIENT_LOAD_OWN_DELAY_H

#include "client/load/conn_state.h"

#define OWN_DELAY_STRIDE 32

/* Decides whether the next read of this connection is sampled: its weight, or 0. */
uint32_t own_delay_weight(struct load_context *ctx, const struct conn *conn);

/* Sets the sample of the read that has just returned data. */
void own_delay_set(struct load_context *ctx, uint32_t weight, uint64_t waited_ns);

/* The first byte of the message is sent now: sets its own delay up to here.
 * *ret_blocked_ns, *ret_lag_ns: the two parts of the time since it was intended. */
void own_delay_sent_late(const struct conn *conn, struct queued_message *message,
    uint64_t now_ns, uint64_t *ret_blocked_ns, uint64_t *ret_lag_ns);

static inline void
own_delay_sent(const struct conn *conn, struct queued_message *message, uint64_t now_ns,
    uint64_t *ret_blocked_ns, uint64_t *ret_lag_ns)
{
	*ret_blocked_ns = *ret_lag_ns = 0;
	if (now_ns != message->intended_ns)
		own_delay_sent_late(conn, message, now_ns, ret_blocked_ns, ret_lag_ns);
}

/* Records `count` messages of the same times that the last read answers in the sample.
 */
void own_delay_record(struct load_context *ctx, struct conn *conn,
    const struct queued_message *message, bool is_measured, uint32_t count);

/* The last read has answered `count` messages that have the times of `message`. */
static inline void
own_delay_answered(struct load_context *ctx, struct conn *conn,
    const struct queued_message *message, bool is_measured, uint32_t count)
{
	if (ctx->sample.weight > 0)
		own_delay_record(ctx, conn, message, is_measured, count);
	else
		conn->own_us = message->own_us;
}

#endif
