/*
 * message_queue.h - messages that are due or in flight: one small record each, in one
 * queue per connection, from one pool per process.
 *
 * A record exists from the time that the message is due until it is answered or lost; a
 * connection with neither has no record.
 */
#ifndef CLIENT_SCHEDULE_MESSAGE_QUEUE_H
#define CLIENT_SCHEDULE_MESSAGE_QUEUE_H

#include <stdint.h>

#define MESSAGE_QUEUE_NONE UINT32_MAX

struct queued_message {
	uint64_t intended_ns; /* when it should have been sent */
	uint64_t written_ns; /* when its first byte was sent, or first blocked by a full
				socket with nothing in flight; 0: not yet */
	uint32_t next;       /* in the queue, or in the list of free records */
	uint32_t own_us; /* by which this client was late when it sent the message */
};

struct message_pool {
	struct queued_message *records;
	uint32_t count; /* records ever used */
	uint32_t room;
	uint32_t free;
};

/* A queue, the oldest first. */
struct message_queue {
	uint32_t head;
	uint32_t tail;
	uint32_t unwritten; /* the first message not started yet */
};

static inline void
message_queue_init(struct message_queue *queue)
{
	queue->head = queue->tail = queue->unwritten = MESSAGE_QUEUE_NONE;
}

void message_queue_pool_init(struct message_pool *pool);
void message_queue_pool_finish(struct message_pool *pool);

/* Makes room for more records. */
void message_queue_grow(struct message_pool *pool);

/* Adds a message at the end. */
static inline void
message_queue_push(
    struct message_pool *pool, struct message_queue *queue, uint64_t intended_ns)
{
	uint32_t index = pool->free;
	if (index != MESSAGE_QUEUE_NONE) {
		pool->free = pool->records[index].next;
	} else {
		if (pool->count == pool->room)
			message_queue_grow(pool);
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

static inline struct queued_message *
message_queue_at(const struct message_pool *pool, uint32_t index)
{
	return &pool->records[index];
}

/* Removes and returns the oldest; the queue must not be empty. */
static inline struct queued_message
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

/* Marks the first message that is not started as started. */
static inline void
message_queue_mark_written(
    struct message_pool *pool, struct message_queue *queue, uint64_t now_ns)
{
	struct queued_message *message = message_queue_at(pool, queue->unwritten);
	message->written_ns = now_ns;
	queue->unwritten = message->next;
}

#endif
