/*
 * tls_stream.h - one connection in TLS, on a connected, non-blocking socket that the
 * caller owns: handshake, then records. While it is idle it is this struct alone.
 *
 *   create -> shake, shake ... -> READY -> settle -> receive, send ... finish ->
 * destroy
 *                              -> FAILED -> destroy
 */
#ifndef CLIENT_TLS_TLS_STREAM_H
#define CLIENT_TLS_TLS_STREAM_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buffer.h"
#include "client/tls/tls_pool.h"

/* How the peer ended the stream. */
enum tls_stream_end {
	TLS_STREAM_OPEN,
	TLS_STREAM_CLOSED,    /* by close_notify */
	TLS_STREAM_TRUNCATED, /* by a FIN without it */
	TLS_STREAM_ALERT,     /* by a fatal alert */
	TLS_STREAM_BAD,       /* a record cannot be opened; it was told by an alert */
};

struct tls_stream {
	struct tls_session session;
	union {
		struct tls_pool *pool;
		struct tls_stream *next_unused; /* of tls_pool.h */
	};
	struct tls_handshake *handshake; /* NULL once it and its ticket are there */
	struct tls_ciphers *ciphers;     /* of tls_pool.h */
	struct buffer *input;            /* of a record that is not complete */
	struct buffer *output;           /* of the handshake, or sealed; unsent */
	const char *reason;              /* TLS_STREAM_BAD: a constant */
	uint32_t armed_index;            /* of tls_pool.h */
	uint32_t group;                  /* of tls_pool.h */
	uint8_t alert;                   /* TLS_STREAM_ALERT: enum tls_alert */
	uint8_t end : 4;                 /* enum tls_stream_end */
	/* Has used ciphers, since the last sweep if they are its own. */
	bool is_used : 1;
	bool is_ready : 1;    /* the handshake is over */
	bool is_awaiting : 1; /* counts in tls_pool_tickets.awaited */
	bool dribbles : 1;    /* sends the handshake one byte at a time */
	bool has_rest : 1;    /* the input came with the end of the handshake */
	bool has_more : 1;    /* receive may be called again without a new event */
	bool has_read : 1; /* receive has read bytes, perhaps the last ones before a FIN
			    */
	bool fin_is_due : 1; /* our FIN follows the output */
};

struct tls_stream_args {
	struct tls_pool *pool;
	struct tls_context *context;
	uint32_t group; /* of the pool, whose tickets it may use */
	const char *name;
	struct tls_identity *identity;
	bool resumes; /* if a ticket is known */
	bool keeps_ticket;
	bool dribbles;
};

/* Ends the program when out of memory. *ret_offered: a session is offered. */
struct tls_stream *tls_stream_create(
    const struct tls_stream_args *args, bool *ret_offered);
void tls_stream_destroy(struct tls_stream *stream);

enum tls_stream_status { TLS_STREAM_WAIT, TLS_STREAM_READY, TLS_STREAM_FAILED };

/* Continues the handshake with what the socket has received. After READY and FAILED
 * what is known of it is in stream->handshake. */
enum tls_stream_status tls_stream_shake(struct tls_stream *stream, int fd);
/* After READY: goes on with records. The handshake is freed, at once or when its ticket
 * has come. */
void tls_stream_settle(struct tls_stream *stream);

/* As recv(2): reads at most `size` bytes of records, once, and puts their contents into
 * data[TLS_POOL_BYTES], which costs nothing if that is pool->incoming. -1 with EAGAIN
 * and has_more: there may be more to read, but no whole record yet; with EAGAIN and
 * has_read, a FIN may have come together with what was read, and no event will tell. 0:
 * the peer has ended the stream (stream->end). -1 with EPROTO: an alert or a bad record
 * (stream->end). ret_waited_ns: as in receive_time_recv(); NULL: not wanted. */
ssize_t tls_stream_receive(struct tls_stream *stream, int fd, void *data, size_t size,
    uint64_t *ret_waited_ns);

/* As send(2), but takes all of at most TLS_POOL_BYTES: what the socket does not take is
 * kept, and the next call sends it first. Data in pool->outgoing are overwritten. -1
 * with EAGAIN while some of it is left; with EPROTO if TLS 1.2 has used up its key. */
ssize_t tls_stream_send(
    struct tls_stream *stream, int fd, const void *data, size_t length);

static inline bool
tls_stream_has_output(const struct tls_stream *stream)
{
	return stream->output != NULL;
}

/* Sends what was kept. 0, or -1 with errno. */
int tls_stream_flush(struct tls_stream *stream, int fd);

/* Sends close_notify, then our FIN; both follow what was kept, when tls_stream_flush()
 * has sent that. 0, or -1 with errno. */
int tls_stream_finish(struct tls_stream *stream, int fd);

/* Sends close_notify as far as there is room, before the socket is closed. */
void tls_stream_say_goodbye(struct tls_stream *stream, int fd);

#endif
