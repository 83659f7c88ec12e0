/*
 * tls_pool.h - what the TLS connections of one process share: buffers for the records
 * of one call, cipher contexts while connections use them, and tickets of sessions that
 * later connections may resume. Their own structs lie in blocks: between the memory of
 * handshakes they would keep each of its pages from being freed.
 */
#ifndef CLIENT_TLS_TLS_POOL_H
#define CLIENT_TLS_TLS_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/tls/tls_handshake.h"
#include "net/tls/tls_record.h"
#include "client/measure/counters.h"

#define TLS_POOL_BYTES 65536 /* of application data in one call */
/* Pairs of cipher contexts, 2.5 to 4.7 kB each; the connections beyond them share one.
 */
#define TLS_POOL_CIPHERS_MAX 20000
#define TLS_POOL_TICKETS_MAX 32 /* of each group */
#define TLS_POOL_BLOCK 1024     /* connections: enough that malloc(3) maps it apart */

struct tls_stream;

/* Tickets of a group of connections that may resume each other's sessions: they have
 * the same target and the same certificate. */
struct tls_pool_tickets {
	struct tls_ticket *list[TLS_POOL_TICKETS_MAX]; /* the newest is the last */
	uint32_t count;
	uint32_t awaited; /* connections whose ticket is still to come */
};

struct tls_pool {
	struct counters_tls *counts;
	struct tls_stream *unused;  /* by `next_unused` */
	struct tls_stream **blocks; /* of TLS_POOL_BLOCK structs */
	size_t block_count;
	size_t block_used; /* structs of the last block */
	/* TLS_POOL_BYTES each, with room around: what is received is opened in place,
	 * and what a caller sends from here may be sealed in place. */
	uint8_t *incoming, *outgoing;
	uint8_t *sealed; /* TLS_SEALED_MAX(TLS_POOL_BYTES) */
	struct tls_ciphers *common;
	struct tls_stream **armed; /* those with ciphers of their own */
	size_t armed_count, armed_room;
	struct tls_pool_tickets *tickets; /* one for each group */
	uint32_t group_count;
	uint32_t tickets_max; /* of each group */
};

/* tickets_max: of each group, at most TLS_POOL_TICKETS_MAX. */
void tls_pool_init(struct tls_pool *pool, struct counters_tls *counts,
    uint32_t group_count, uint32_t tickets_max);
/* When no connection is left. */
void tls_pool_finish(struct tls_pool *pool);

/* A zeroed struct, to be given back. */
struct tls_stream *tls_pool_take(struct tls_pool *pool);
void tls_pool_give_back(struct tls_pool *pool, struct tls_stream *stream);

/* Destroys the ciphers of all connections that did not use them since the last call. */
void tls_pool_sweep(struct tls_pool *pool);

/* The ciphers that a connection uses now: those that all share for its first use, then
 * its own. */
struct tls_ciphers *tls_pool_ciphers(struct tls_pool *pool, struct tls_stream *stream);
/* Destroys those of its own, if it has some. */
void tls_pool_disarm(struct tls_pool *pool, struct tls_stream *stream);

/* A ticket for one connection of that group, owned by the caller; NULL: none is known.
 * Each is given once, but the last one any number of times. */
struct tls_ticket *tls_pool_take_ticket(struct tls_pool *pool, uint32_t group);
/* Stores a ticket, which the pool owns from now on; NULL is ignored. */
void tls_pool_add_ticket(
    struct tls_pool *pool, uint32_t group, struct tls_ticket *ticket);
/* True if another connection should wait for its ticket. */
bool tls_pool_wants_ticket(const struct tls_pool *pool, uint32_t group);

#endif
