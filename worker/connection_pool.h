/*
 * connection_pool.h - memory of connections, in slabs of 64: timeouts and drain walk
 * through memory in order, and a connection pays no allocator's header.
 *
 * A slab that becomes empty is freed unless it is the only one with room.
 */
#ifndef WORKER_CONNECTION_POOL_H
#define WORKER_CONNECTION_POOL_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>

struct connection;
struct slab;

struct connection_pool {
	LIST_HEAD(slab_list, slab) all, with_room;
	size_t count; /* connections in use */
};

/* A zeroed connection, or NULL with ENOMEM. */
struct connection *connection_pool_alloc(struct connection_pool *pool);
void connection_pool_free(struct connection_pool *pool, struct connection *connection);
/* Frees all memory; no connection may be in use. */
void connection_pool_finish(struct connection_pool *pool);

/* Calls visit for each connection in use until it returns false. visit may free the
 * connection that it was given, and must not allocate one. */
void connection_pool_for_each(struct connection_pool *pool,
    bool (*visit)(struct connection *connection, void *argument), void *argument);

#endif
