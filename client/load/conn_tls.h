/*
 * conn_tls.h - TLS of the connections of a load process: the transport of those that
 * have completed their handshake, and what is counted.
 */
#ifndef CLIENT_LOAD_CONN_TLS_H
#define CLIENT_LOAD_CONN_TLS_H

#include "lib/heap_trim.h"
#include "client/load/conn_state.h"

/* Connections that connect or shake hands at the same time: a handshake takes up to 45
 * kB. Others wait. */
#define CONN_TLS_STARTING_MAX 500

struct load_tls {
	struct tls_pool pool; /* the first member */
	struct load_context *ctx;
	uint32_t starting;       /* at most CONN_TLS_STARTING_MAX */
	uint32_t resume_percent; /* not used yet, of --tls-resume */
	uint32_t *described;     /* handshakes of each target */
	struct heap_trim heap_trim;
};

/* Fills ctx->tls, and sets the buffers, if the plan asks for TLS. */
void conn_tls_init(struct load_context *ctx);
void conn_tls_finish(struct load_context *ctx);

/* False while as many connections as may shake hands. */
static inline bool
conn_tls_has_room(const struct load_context *ctx)
{
	return ctx->tls == NULL || ctx->tls->starting < CONN_TLS_STARTING_MAX;
}

/* All connections are established: returns the memory of their handshakes. */
void conn_tls_on_connected(const struct load_context *ctx);

/* Frees what connections that are quiet do not need; once a second. */
void conn_tls_sweep(struct load_context *ctx);

/* The socket is connected: creates conn->tls. */
void conn_tls_begin(struct load_context *ctx, struct conn *conn);

/* Continues the handshake. READY: counted, and the connection's transport is TLS.
 * FAILED: the reason is counted. */
enum tls_stream_status conn_tls_shake(struct load_context *ctx, struct conn *conn);

/* Counts a handshake that was given up. */
void conn_tls_timed_out(struct load_context *ctx, struct conn *conn);

static inline bool
conn_tls_has_output(const struct conn *conn)
{
	return conn->tls != NULL && tls_stream_has_output(conn->tls);
}

/* Sends what was sealed. 0, or -1 with errno. Nothing to do without TLS. */
static inline int
conn_tls_flush(const struct conn *conn)
{
	return conn_tls_has_output(conn) ? tls_stream_flush(conn->tls, conn->stream.fd)
					 : 0;
}

/* True if records without data, or a part of one, were read: their FIN may be next. */
static inline bool
conn_tls_has_read(const struct conn *conn)
{
	return conn->tls != NULL && conn->tls->has_read;
}

/* True if an alert or a bad record has ended the connection. */
bool conn_tls_has_failed(const struct conn *conn);

/* Counts how it ended, and frees conn->tls, if there is one. says_goodbye: the peer
 * gets a close_notify although the connection is lost. */
void conn_tls_destroy(struct load_context *ctx, struct conn *conn, bool says_goodbye);

#endif
