/*
 * connection_pool.h - memory of connections, in slabs of 64, so that the sweep and the
 * drain walk through memory in order and a connection pays no allocator's header.
 *
 * A slab that becomes empty is given back unless it is the only one with room.
 */
#ifndef WORKER_CONNECTION_POOL_H
#define WORKER_CONNECTION_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slab;
struct connection;

struct connection_pool {
	struct slab *all;       /* every slab, newest first */
	struct slab *with_room; /* those with a free place */
	size_t count;           /* connections in use */
};

/* A zeroed connection, or NULL with ENOMEM. */
struct connection *connection_pool_alloc(struct connection_pool *connection_pool);
void connection_pool_free(
    struct connection_pool *connection_pool, struct connection *connection);
/* Frees all memory; no connection may be in use. */
void connection_pool_finish(struct connection_pool *connection_pool);

/* Calls visit for each connection in use until it returns false. visit may give its own
 * connection back, and take none. */
void connection_pool_for_each(struct connection_pool *connection_pool,
    bool (*visit)(struct connection *connection, void *argument), void *argument);

#endif
