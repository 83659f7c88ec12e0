/*
 * pool.h - memory of connections, in slabs of 64, so that the sweep and the drain walk
 * through memory in order and a connection pays no allocator's header.
 *
 * A slab that becomes empty is given back unless it is the only one with room.
 */
#ifndef WORKER_POOL_H
#define WORKER_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slab;
struct connection;

struct pool {
	struct slab *all;       /* every slab, newest first */
	struct slab *with_room; /* those with a free place */
	size_t count;           /* connections in use */
};

/* A zeroed connection, or NULL with ENOMEM. */
struct connection *pool_take(struct pool *pool);
void pool_give(struct pool *pool, struct connection *connection);
/* Frees all memory; no connection may be in use. */
void pool_finish(struct pool *pool);

/* Calls visit for each connection in use until it returns false. visit may give its own
 * connection back, and take none. */
void pool_visit(struct pool *pool,
    bool (*visit)(struct connection *connection, void *argument), void *argument);

#endif
