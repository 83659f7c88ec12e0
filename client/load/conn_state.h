/*
 * conn_state.h - a connection of the load: its struct, the lists and the timer that it
 * is in, and predicates. It calls no file that sends, receives or connects.
 *
 * A connection is an entry of ctx->conns, named by its index. A million of them must
 * fit into memory: it is small and owns no memory but that of TLS; messages in flight
 * are records of client/schedule/message_queue.h. Its states are in client/load/conn.h.
 */
#ifndef CLIENT_LOAD_CONN_STATE_H
#define CLIENT_LOAD_CONN_STATE_H

#include "net/transport.h"
#include "client/load/load_context.h"
#include "client/tls/tls_stream.h"

enum conn_state {
	CONN_WAITING, /* for its turn to connect */
	CONN_CONNECTING,
	CONN_HANDSHAKE, /* connected; the TLS handshake */
	CONN_OPENING,   /* established; the opening of a conversation */
	CONN_OPEN,
	CONN_ENDING,  /* the end section of a conversation */
	CONN_CLOSING, /* our FIN is sent, the peer's is awaited */
	CONN_DONE,
};

struct conn {
	struct cursor send;           /* the message being sent, or the next one */
	struct verify_stream answers; /* the answer being received, or the next one */
	uint64_t scheduled;           /* messages that ever became due */
	uint64_t sent_on_connection;  /* messages started on this connection */
	uint64_t state_since_ns; /* start of connect or handshake, open, or FIN sent */
	/* Start of the connect at the first address; once open, when it was
	 * established.
	 */
	uint64_t opened_ns;
	uint64_t connect_ns;       /* start of the connect at the present address */
	uint64_t received_ns;      /* last received byte, or established */
	uint64_t ready_ns;         /* could take a message since: established, a slot of
				      --pipeline became free, or room in the socket */
	uint64_t failing_since_ns; /* the first of `failures` */
	struct stream stream;
	struct tls_stream *tls; /* owned (conn_tls.h); NULL: no TLS */
	struct message_queue queue;
	uint32_t in_flight;    /* messages started and without verdict */
	uint32_t released;     /* of them: their answers need not be waited for */
	uint32_t due;          /* messages due and not started */
	uint32_t active_index; /* place in ctx->active.list, or LOAD_NO_CONN */
	uint32_t next_ready;   /* the list that starts at ctx->ready */
	uint32_t own_us; /* this client's own delay in the last answer (own_delay.h) */
	uint32_t silent_us; /* longest wait without a byte, with a message in flight */
	uint8_t state;      /* enum conn_state */
	uint8_t address;    /* index into the target's addresses */
	uint8_t tried;      /* addresses that this connect has tried and failed at */
	uint8_t failures;   /* connections without an answer, in a row */
	uint8_t full_tries; /* of this connect: the queue of a Unix socket was full */
	bool is_mptcp;      /* and has not fallen back */
	bool is_ready;      /* is in the list of ctx->ready */
	bool connect_started; /* has started to connect at least once */
	bool was_established;
	bool is_reconnecting; /* counts in ctx->reconnecting */
	bool is_write_shut;   /* our sending side */
	bool expires;         /* its lifetime is over: starts no new message */
	bool is_paused;       /* --slow-read: does not read until its timer expires */
	bool is_blocked;      /* the socket has not taken all that was to be sent */
	bool is_held; /* does not read: a conversation has to send or wait first */
};

static inline uint32_t
conn_state_index(const struct load_context *ctx, const struct conn *conn)
{
	return (uint32_t)(conn - ctx->conns);
}

/* The number of the connection over all ranks. */
static inline uint64_t
conn_state_number(const struct load_context *ctx, const struct conn *conn)
{
	return ctx->first + conn_state_index(ctx, conn);
}

/* Established, and not closing yet. */
static inline bool
conn_state_talks(const struct conn *conn)
{
	return conn->state >= CONN_OPENING && conn->state <= CONN_ENDING;
}

/* Connecting, or in the TLS handshake. */
static inline bool
conn_state_is_starting(const struct conn *conn)
{
	return conn->state == CONN_CONNECTING || conn->state == CONN_HANDSHAKE;
}

/* Messages whose answers are waited for. */
static inline uint32_t
conn_state_awaited(const struct conn *conn)
{
	return conn->in_flight - conn->released;
}

/* Messages that may be started now: those that are due, as far as the plan allows. */
static inline uint32_t
conn_state_startable(const struct load_context *ctx, const struct conn *conn)
{
	const struct plan *plan = ctx->plan;
	uint32_t n = conn->due;
	if (conn->expires || ctx->is_dropping)
		return 0;
	uint32_t awaited = conn_state_awaited(conn);
	if (plan->pipeline > 0 && n + awaited > plan->pipeline)
		n = awaited < plan->pipeline ? plan->pipeline - awaited : 0;
	if (plan->messages_per_connection > 0) {
		uint64_t left =
		    plan->messages_per_connection - conn->sent_on_connection;
		n = n < left ? n : (uint32_t)left;
	}
	return n;
}

void conn_state_init(struct conn *conn);

/* Makes a message due. False when the connection has no more messages to send. */
bool conn_state_schedule(
    struct load_context *ctx, struct conn *conn, uint64_t intended_ns);
/* Makes up to `count` messages due. */
void conn_state_schedule_many(
    struct load_context *ctx, struct conn *conn, uint64_t intended_ns, uint64_t count);

/* Puts the connection into, or takes it out of, the list of active connections. */
void conn_state_activate(struct load_context *ctx, struct conn *conn);
void conn_state_deactivate(struct load_context *ctx, struct conn *conn);

/* Calls conn_on_ready in the next turn of the loop. */
void conn_state_enqueue_ready(struct load_context *ctx, struct conn *conn);

/* Queues a connection for connecting: the state becomes WAITING. */
void conn_state_enqueue_connect(struct load_context *ctx, struct conn *conn);

/* Counts it in ctx->reconnecting, or no longer. */
void conn_state_set_reconnecting(
    struct load_context *ctx, struct conn *conn, bool is_reconnecting);

/* The first of that queue, taken out; NULL when it is empty. */
struct conn *conn_state_dequeue_connect(struct load_context *ctx);

/* Skips the turns of --connect-rate that passed while the queue was empty. */
void conn_state_skip_unused_turns(struct load_context *ctx);

/* Sets the timer to the next deadline of its state. */
void conn_state_set_timer(struct load_context *ctx, struct conn *conn);

/* When the oldest message was sent, or first blocked by a full socket; 0: none. While a
 * damaged answer is examined, this is when the last bytes arrived. In a conversation:
 * when something was sent that the peer must answer now. */
uint64_t conn_state_waiting_since(
    const struct load_context *ctx, const struct conn *conn);

/* How long an answer is waited for. */
uint64_t conn_state_patience_ns(
    const struct load_context *ctx, const struct conn *conn);

/* Every message is sent or started. */
bool conn_state_has_sent_all(const struct load_context *ctx, const struct conn *conn);

/* The connection has reached its number of messages or its lifetime. */
bool conn_state_has_expired(const struct load_context *ctx, const struct conn *conn);

/* True if the connection has messages to send, now or later in the run. */
bool conn_state_has_work(const struct load_context *ctx, const struct conn *conn);

/* --slow-read: bytes per read, and the time of the next read. Reads are at multiples of
 * an interval, so that delays do not add up. */
size_t conn_state_slow_bytes(uint64_t bytes_per_s);
uint64_t conn_state_slow_next_ns(uint64_t bytes_per_s, uint64_t now_ns);

#endif
