#include "client/load/message_queue.h"

#include <stdlib.h>

#define FIRST_ROOM 64

void
message_queue_pool_init(struct message_pool *message_pool)
{
	*message_pool = (struct message_pool){ .free = MESSAGE_QUEUE_NONE };
}

void
message_queue_pool_finish(struct message_pool *message_pool)
{
	free(message_pool->records);
	message_queue_pool_init(message_pool);
}

static int
grow(struct message_pool *message_pool)
{
	uint32_t room = message_pool->room > 0 ? message_pool->room * 2 : FIRST_ROOM;
	if (room <= message_pool->room)
		return -1;
	struct queued_message *records = realloc(
	    message_pool->records, (size_t)room * sizeof(struct queued_message));

	if (records == NULL)
		return -1;
	message_pool->records = records;
	message_pool->room = room;
	return 0;
}

int
message_queue_push(struct message_pool *message_pool, struct message_queue *queue,
    uint64_t intended_ns)
{
	uint32_t index = message_pool->free;

	if (index != MESSAGE_QUEUE_NONE) {
		message_pool->free = message_pool->records[index].next;
	} else {
		if (message_pool->count == message_pool->room && grow(message_pool) < 0)
			return -1;
		index = message_pool->count++;
	}
	message_pool->records[index] =
	    (struct queued_message){ .intended_ns = intended_ns,
		    .next = MESSAGE_QUEUE_NONE };
	if (queue->tail != MESSAGE_QUEUE_NONE)
		message_pool->records[queue->tail].next = index;
	else
		queue->head = index;
	queue->tail = index;
	if (queue->unwritten == MESSAGE_QUEUE_NONE)
		queue->unwritten = index;
	return 0;
}

struct queued_message
message_queue_pop(struct message_pool *message_pool, struct message_queue *queue)
{
	uint32_t index = queue->head;
	struct queued_message queued_message = message_pool->records[index];

	queue->head = queued_message.next;
	if (queue->head == MESSAGE_QUEUE_NONE)
		queue->tail = MESSAGE_QUEUE_NONE;
	if (queue->unwritten == index)
		queue->unwritten = queued_message.next;
	message_pool->records[index].next = message_pool->free;
	message_pool->free = index;
	return queued_message;
}
