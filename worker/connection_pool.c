#include "worker/connection_pool.h"

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

_Static_assert(sizeof(struct slab) <= SLAB_PLACES * 256,
    "an idle connection costs at most 256 bytes");

static struct slab *
slab_of(const struct connection *connection)
{
	const struct connection *first = connection - connection->place;
	return (struct slab *)((char *)first - offsetof(struct slab, places));
}

static void
link_with_room(struct connection_pool *connection_pool, struct slab *slab)
{
	slab->previous_with_room = NULL;
	slab->next_with_room = connection_pool->with_room;
	if (connection_pool->with_room != NULL)
		connection_pool->with_room->previous_with_room = slab;
	connection_pool->with_room = slab;
}

static void
unlink_with_room(struct connection_pool *connection_pool, struct slab *slab)
{
	if (slab->previous_with_room != NULL)
		slab->previous_with_room->next_with_room = slab->next_with_room;
	else
		connection_pool->with_room = slab->next_with_room;
	if (slab->next_with_room != NULL)
		slab->next_with_room->previous_with_room = slab->previous_with_room;
}

static struct slab *
slab_create(struct connection_pool *connection_pool)
{
	struct slab *slab = malloc(sizeof(*slab));
	if (slab == NULL)
		return NULL;
	slab->used = 0;
	slab->previous = NULL;
	slab->next = connection_pool->all;
	if (connection_pool->all != NULL)
		connection_pool->all->previous = slab;
	connection_pool->all = slab;
	link_with_room(connection_pool, slab);
	return slab;
}

static void
slab_destroy(struct connection_pool *connection_pool, struct slab *slab)
{
	if (slab->previous != NULL)
		slab->previous->next = slab->next;
	else
		connection_pool->all = slab->next;
	if (slab->next != NULL)
		slab->next->previous = slab->previous;
	unlink_with_room(connection_pool, slab);
	free(slab);
}

struct connection *
connection_pool_alloc(struct connection_pool *connection_pool)
{
	struct slab *slab = connection_pool->with_room;
	if (slab == NULL && (slab = slab_create(connection_pool)) == NULL)
		return NULL;
	int place = __builtin_ctzll(~slab->used);
	slab->used |= UINT64_C(1) << place;
	if (slab->used == UINT64_MAX)
		unlink_with_room(connection_pool, slab);
	connection_pool->count++;
	struct connection *connection = &slab->places[place];
	memset(connection, 0, sizeof(*connection));
	connection->place = (uint8_t)place;
	return connection;
}

void
connection_pool_free(
    struct connection_pool *connection_pool, struct connection *connection)
{
	struct slab *slab = slab_of(connection);
	if (slab->used == UINT64_MAX)
		link_with_room(connection_pool, slab);
	slab->used &= ~(UINT64_C(1) << connection->place);
	connection_pool->count--;
	bool only_room =
	    connection_pool->with_room == slab && slab->next_with_room == NULL;
	if (slab->used == 0 && !only_room)
		slab_destroy(connection_pool, slab);
}

void
connection_pool_finish(struct connection_pool *connection_pool)
{
	while (connection_pool->all != NULL)
		slab_destroy(connection_pool, connection_pool->all);
}

void
connection_pool_for_each(struct connection_pool *connection_pool,
    bool (*visit)(struct connection *connection, void *argument), void *argument)
{
	struct slab *next;
	for (struct slab *slab = connection_pool->all; slab != NULL; slab = next) {
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
