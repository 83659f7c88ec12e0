#include "worker/connection_pool.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "worker/connection.h"

#define SLAB_SIZE 64

struct slab {
	uint64_t used; /* bit i: connections[i] is in use */
	LIST_ENTRY(slab) all, with_room;
	struct connection connections[SLAB_SIZE];
};

_Static_assert(sizeof(struct slab) <= SLAB_SIZE * 256,
    "an idle connection costs at most 256 bytes");

static struct slab *
slab_of(const struct connection *connection)
{
	const struct connection *first = connection - connection->slab_index;
	return (struct slab *)((char *)first - offsetof(struct slab, connections));
}

static struct slab *
slab_create(struct connection_pool *pool)
{
	struct slab *slab = malloc(sizeof(*slab));
	if (slab == NULL)
		return NULL;
	slab->used = 0;
	LIST_INSERT_HEAD(&pool->all, slab, all);
	LIST_INSERT_HEAD(&pool->with_room, slab, with_room);
	return slab;
}

static void
slab_destroy(struct slab *slab)
{
	LIST_REMOVE(slab, all);
	LIST_REMOVE(slab, with_room);
	free(slab);
}

struct connection *
connection_pool_alloc(struct connection_pool *pool)
{
	struct slab *slab = LIST_FIRST(&pool->with_room);
	if (slab == NULL && (slab = slab_create(pool)) == NULL)
		return NULL;
	int index = __builtin_ctzll(~slab->used);
	slab->used |= UINT64_C(1) << index;
	if (slab->used == UINT64_MAX)
		LIST_REMOVE(slab, with_room);
	pool->count++;
	struct connection *connection = &slab->connections[index];
	memset(connection, 0, sizeof(*connection));
	connection->slab_index = (uint8_t)index;
	return connection;
}

void
connection_pool_free(struct connection_pool *pool, struct connection *connection)
{
	struct slab *slab = slab_of(connection);
	if (slab->used == UINT64_MAX)
		LIST_INSERT_HEAD(&pool->with_room, slab, with_room);
	slab->used &= ~(UINT64_C(1) << connection->slab_index);
	pool->count--;
	bool only_room =
	    LIST_FIRST(&pool->with_room) == slab && LIST_NEXT(slab, with_room) == NULL;
	if (slab->used == 0 && !only_room)
		slab_destroy(slab);
}

void
connection_pool_finish(struct connection_pool *pool)
{
	while (!LIST_EMPTY(&pool->all))
		slab_destroy(LIST_FIRST(&pool->all));
}

void
connection_pool_for_each(struct connection_pool *pool,
    bool (*visit)(struct connection *connection, void *argument), void *argument)
{
	struct slab *next;
	for (struct slab *slab = LIST_FIRST(&pool->all); slab != NULL; slab = next) {
		next = LIST_NEXT(slab, all);
		uint64_t used = slab->used;
		while (used != 0) {
			int index = __builtin_ctzll(used);
			used &= used - 1;
			if (!visit(&slab->connections[index], argument))
				return;
		}
	}
}
