#include "client/schedule/message_queue.h"

#include <stdlib.h>

#include "lib/xmalloc.h"

#define FIRST_ROOM 64

void
message_queue_pool_init(struct message_pool *pool)
{
	*pool = (struct message_pool){ .free = MESSAGE_QUEUE_NONE };
}

void
message_queue_pool_finish(struct message_pool *pool)
{
	free(pool->records);
	message_queue_pool_init(pool);
}

void
message_queue_grow(struct message_pool *pool)
{
	uint32_t room = pool->room > 0 ? pool->room * 2 : FIRST_ROOM;
	if (room <= pool->room)
		xmalloc_fail(); /* more than a 32-bit index can name */
	pool->records = xreallocarray(pool->records, room, sizeof(pool->records[0]));
	pool->room = room;
}
