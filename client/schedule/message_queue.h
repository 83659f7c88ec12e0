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

/* Adds a message at the end. */
void message_queue_push(
    struct message_pool *pool, struct message_queue *queue, uint64_t intended_ns);

static inline struct queued_message *
message_queue_at(const struct message_pool *pool, uint32_t index)
{
	return &pool->records[index];
}

/* Removes and returns the oldest; the queue must not be empty. */
struct queued_message message_queue_pop(
    struct message_pool *pool, struct message_queue *queue);

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
