#include "worker/pool.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "worker/connection.h"

#define SLAB_PLACES 64

struct slab {
	uint64_t used; /* bit i: place i */
	struct slab *next, *previous;
	struct slab *next_with_room, *previous_with_room;
	struct connection places[SLAB_PLACES];
};

static struct slab *
slab_of(const struct connection *connection)
{
	const struct connection *first = connection - connection->place;
	return (struct slab *)((char *)first - offsetof(struct slab, places));
}

static void
link_with_room(struct pool *pool, struct slab *slab)
{
	slab->previous_with_room = NULL;
	slab->next_with_room = pool->with_room;
	if (pool->with_room != NULL)
		pool->with_room->previous_with_room = slab;
	pool->with_room = slab;
}

static void
unlink_with_room(struct pool *pool, struct slab *slab)
{
	if (slab->previous_with_room != NULL)
		slab->previous_with_room->next_with_room = slab->next_with_room;
	else
		pool->with_room = slab->next_with_room;
	if (slab->next_with_room != NULL)
		slab->next_with_room->previous_with_room = slab->previous_with_room;
}

static struct slab *
slab_create(struct pool *pool)
{
	struct slab *slab = malloc(sizeof(*slab));
	if (slab == NULL)
		return NULL;
	slab->used = 0;
	slab->previous = NULL;
	slab->next = pool->all;
	if (pool->all != NULL)
		pool->all->previous = slab;
	pool->all = slab;
	link_with_room(pool, slab);
	return slab;
}

static void
slab_destroy(struct pool *pool, struct slab *slab)
{
	if (slab->previous != NULL)
		slab->previous->next = slab->next;
	else
		pool->all = slab->next;
	if (slab->next != NULL)
		slab->next->previous = slab->previous;
	unlink_with_room(pool, slab);
	free(slab);
}

struct connection *
pool_take(struct pool *pool)
{
	struct slab *slab = pool->with_room;
	if (slab == NULL && (slab = slab_create(pool)) == NULL)
		return NULL;
	int place = __builtin_ctzll(~slab->used);
	slab->used |= UINT64_C(1) << place;
	if (slab->used == UINT64_MAX)
		unlink_with_room(pool, slab);
	pool->count++;
	struct connection *connection = &slab->places[place];
	memset(connection, 0, sizeof(*connection));
	connection->place = (uint8_t)place;
	return connection;
}

void
pool_give(struct pool *pool, struct connection *connection)
{
	struct slab *slab = slab_of(connection);
	if (slab->used == UINT64_MAX)
		link_with_room(pool, slab);
	slab->used &= ~(UINT64_C(1) << connection->place);
	pool->count--;
	bool only_room = pool->with_room == slab && slab->next_with_room == NULL;
	if (slab->used == 0 && !only_room)
		slab_destroy(pool, slab);
}

void
pool_finish(struct pool *pool)
{
	while (pool->all != NULL)
		slab_destroy(pool, pool->all);
}

void
pool_visit(struct pool *pool,
    bool (*visit)(struct connection *connection, void *argument), void *argument)
{
	struct slab *next;
	for (struct slab *slab = pool->all; slab != NULL; slab = next) {
		next = slab->next;
		uint64_t used = slab->used;
		while (used != 0) {
			int place = __builtin_ctzll(used);
			used &= used - 1;
			if (!visit(&slab->places[place], argument))
				return;
		}
	}
}
