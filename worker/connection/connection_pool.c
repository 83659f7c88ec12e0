#include "worker/connection/connection_pool.h"

#include <sys/mman.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "worker/connection/connection.h"
#include "worker/connection/crash_record.h"

/* Whole pages, so that an empty one can be returned. */
#define SLAB_BYTES ((size_t)16384)
#define SLAB_PAGES ((size_t)4096)

_Static_assert(
    sizeof(struct slab) + SLAB_CONNECTIONS * sizeof(struct connection) <= SLAB_BYTES,
    "an idle connection costs at most 16384 / 63 = 260 bytes");
#define ALL_USED ((UINT64_C(1) << SLAB_CONNECTIONS) - 1)
_Static_assert(SLAB_BYTES % SLAB_PAGES == 0, "slabs are whole pages");

size_t
connection_pool_slab_bytes(void)
{
	return SLAB_BYTES;
}

struct connection *
connection_pool_at(struct slab *slab, unsigned i)
{
	return (struct connection *)(void *)(slab + 1) + i;
}

static struct slab *
slab_of(const struct connection *connection)
{
	const struct connection *first = connection - connection->slab_index;
	return (struct slab *)(void *)first - 1;
}

int
connection_pool_start(struct connection_pool *pool, const struct crash_region *region)
{
	pool->free_slabs = malloc(region->slab_max * sizeof(*pool->free_slabs));
	if (pool->free_slabs == NULL)
		return -1;
	pool->region = region;
	return 0;
}

static struct slab *
take_from_region(struct connection_pool *pool)
{
	const struct crash_region *region = pool->region;
	uint32_t number = region->record->slab_end;
	if (pool->free_slab_count > 0)
		number = pool->free_slabs[--pool->free_slab_count];
	else if (number < region->slab_max)
		region->record->slab_end++;
	else
		return NULL;
	return (void *)(region->slabs + number * SLAB_BYTES);
}

static void
return_to_region(struct connection_pool *pool, struct slab *slab)
{
	size_t offset = (size_t)((uint8_t *)slab - pool->region->slabs);
	pool->free_slabs[pool->free_slab_count++] = (uint32_t)(offset / SLAB_BYTES);
	(void)madvise(slab, SLAB_BYTES, MADV_REMOVE);
}

static struct slab *
slab_create(struct connection_pool *pool)
{
	struct slab *slab =
	    pool->region != NULL ? take_from_region(pool) : malloc(SLAB_BYTES);
	if (slab == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	slab->used = 0;
	LIST_INSERT_HEAD(&pool->all, slab, all);
	LIST_INSERT_HEAD(&pool->with_room, slab, with_room);
	return slab;
}

static void
slab_destroy(struct connection_pool *pool, struct slab *slab)
{
	LIST_REMOVE(slab, all);
	LIST_REMOVE(slab, with_room);
	if (pool->region != NULL)
		return_to_region(pool, slab);
	else
		free(slab);
}

struct connection *
connection_pool_alloc(struct connection_pool *pool)
{
	struct slab *slab = LIST_FIRST(&pool->with_room);
	if (slab == NULL && (slab = slab_create(pool)) == NULL)
		return NULL;
	int index = __builtin_ctzll(~slab->used);
	struct connection *connection = connection_pool_at(slab, (unsigned)index);
	memset(connection, 0, sizeof(*connection));
	connection->slab_index = (uint8_t)index;
	CRASH_RECORD_BARRIER(); /* a connection in use is not one of before */
	slab->used |= UINT64_C(1) << index;
	if (slab->used == ALL_USED)
		LIST_REMOVE(slab, with_room);
	pool->count++;
	return connection;
}

void
connection_pool_free(struct connection_pool *pool, struct connection *connection)
{
	struct slab *slab = slab_of(connection);
	if (slab->used == ALL_USED)
		LIST_INSERT_HEAD(&pool->with_room, slab, with_room);
	slab->used &= ~(UINT64_C(1) << connection->slab_index);
	pool->count--;
	bool only_room =
	    LIST_FIRST(&pool->with_room) == slab && LIST_NEXT(slab, with_room) == NULL;
	if (slab->used == 0 && !only_room)
		slab_destroy(pool, slab);
}

void
connection_pool_finish(struct connection_pool *pool)
{
	while (!LIST_EMPTY(&pool->all))
		slab_destroy(pool, LIST_FIRST(&pool->all));
	free(pool->free_slabs);
	pool->free_slabs = NULL;
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
			if (!visit(connection_pool_at(slab, (unsigned)index), argument))
				return;
		}
	}
}
