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

static void
grow(struct message_pool *pool)
{
	uint32_t room = pool->room > 0 ? pool->room * 2 : FIRST_ROOM;
	if (room <= pool->room)
		xmalloc_fail(); /* more than a 32-bit index can name */
	pool->records = xreallocarray(pool->records, room, sizeof(pool->records[0]));
	pool->room = room;
}

void
message_queue_push(
    struct message_pool *pool, struct message_queue *queue, uint64_t intended_ns)
{
	uint32_t index = pool->free;
	if (index != MESSAGE_QUEUE_NONE) {
		pool->free = pool->records[index].next;
	} else {
		if (pool->count == pool->room)
			grow(pool);
		index = pool->count++;
	}
	pool->records[index] = (struct queued_message){ .intended_ns = intended_ns,
		.next = MESSAGE_QUEUE_NONE };
	if (queue->tail != MESSAGE_QUEUE_NONE)
		pool->records[queue->tail].next = index;
	else
		queue->head = index;
	queue->tail = index;
	if (queue->unwritten == MESSAGE_QUEUE_NONE)
		queue->unwritten = index;
}

struct queued_message
message_queue_pop(struct message_pool *pool, struct message_queue *queue)
{
	uint32_t index = queue->head;
	struct queued_message message = pool->records[index];
	queue->head = message.next;
	if (queue->head == MESSAGE_QUEUE_NONE)
		queue->tail = MESSAGE_QUEUE_NONE;
	if (queue->unwritten == index)
		queue->unwritten = message.next;
	pool->records[index].next = pool->free;
	pool->free = index;
	return message;
}
