/*
 * connection_pool.h - memory of connections, in slabs of 63: timeouts and drain walk
 * through memory in order, and a connection pays no allocator's header.
 *
 * A slab that becomes empty is freed unless it is the only one with room. The slabs lie
 * in the crash record's region if there is one, for the keeper to read, else on the
 * heap.
 */
#ifndef WORKER_CONNECTION_POOL_H
#define WORKER_CONNECTION_POOL_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection;
struct crash_region;

#define SLAB_CONNECTIONS 63

struct slab {
	uint64_t used; /* bit i: connection i is in use */
	LIST_ENTRY(slab) all, with_room;
};

struct connection_pool {
	LIST_HEAD(slab_list, slab) all, with_room;
	size_t count;                      /* connections in use */
	const struct crash_region *region; /* NULL: slabs are on the heap */
	uint32_t *free_slabs;              /* numbers of slabs that were used before */
	uint32_t free_slab_count;
};

/* Takes the slabs from the region. 0, or -1 with ENOMEM. */
int connection_pool_start(struct connection_pool *pool,
    const struct crash_region *region) __attribute__((warn_unused_result));

/* The layout of a slab, for the region and its reader: connection i, in use or not. */
size_t connection_pool_slab_bytes(void);
struct connection *connection_pool_at(struct slab *slab, unsigned i);

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
