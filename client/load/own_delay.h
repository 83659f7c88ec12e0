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
 *   - all that answer one of the slowest 3 % of the messages, weight 1;
 *   - all on a connection with messages that wait for this answer, weight 1;
 *   - of the others 1 in OWN_DELAY_STRIDE by chance, with that weight.
 *
 * Two histograms of the same messages, as measured and without the own delay, then show
 * what the client changed in each percentile (client/result/client_delay.h).
 */
#ifndef CLIENT_LOAD_OWN_DELAY_H
#define CLIENT_LOAD_OWN_DELAY_H

#include "client/load/conn_state.h"

#define OWN_DELAY_STRIDE 16

/* Decides whether the next read of this connection is sampled: its weight, or 0. */
uint32_t own_delay_weight(struct load_context *ctx, const struct conn *conn);

/* Sets the sample of the read that has just returned data. */
void own_delay_set(struct load_context *ctx, uint32_t weight, uint64_t waited_ns);

/* The message at the head of those not yet sent is sent now: returns the own delay up
 * to here, and how long it was blocked and late. */
uint32_t own_delay_sent_us(const struct conn *conn, uint64_t intended_ns,
    uint64_t now_ns, uint64_t *ret_blocked_ns, uint64_t *ret_lag_ns);

/* A message is answered by the last read. Records it if that is sampled and the message
 * is measured. */
void own_delay_answered(struct load_context *ctx, struct conn *conn,
    const struct queued_message *message, bool is_measured);

#endif
