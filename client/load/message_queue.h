/*
 * message_queue.h - the messages that are due or in flight: one small record each, kept
 * in a queue for each connection, taken from one pool of the process.
 *
 * A record is there from the moment that the message is due until it is answered or
 * lost; a connection with nothing in flight holds none.
 */
#ifndef CLIENT_LOAD_MESSAGE_QUEUE_H
#define CLIENT_LOAD_MESSAGE_QUEUE_H

#include <stdint.h>

#define MESSAGE_QUEUE_NONE UINT32_MAX

struct queued_message {
	uint64_t intended_ns; /* when it should have been sent */
	uint64_t written_ns;  /* when its first byte was given to the kernel, or was
				 refused by it with nothing else in flight; 0: not yet */
	uint32_t next;        /* of the queue, or of the free records */
};

struct message_pool {
	struct queued_message *records;
	uint32_t count; /* ever taken from the memory */
	uint32_t room;
	uint32_t free;
};

/* A queue, the oldest first. */
struct message_queue {
	uint32_t head;
	uint32_t tail;
	uint32_t unwritten; /* the first whose first byte is not written yet */
};

static inline void
message_queue_init(struct message_queue *queue)
{
	queue->head = queue->tail = queue->unwritten = MESSAGE_QUEUE_NONE;
}

void message_queue_pool_init(struct message_pool *message_pool);
void message_queue_pool_finish(struct message_pool *message_pool);

/* Adds one at the end. 0, or -1 when out of memory. */
int message_queue_push(struct message_pool *message_pool, struct message_queue *queue,
    uint64_t intended_ns) __attribute__((warn_unused_result));

static inline struct queued_message *
message_queue_at(const struct message_pool *message_pool, uint32_t index)
{
	return &message_pool->records[index];
}

/* Takes the oldest out of the queue and gives it back; the queue is not empty. */
struct queued_message message_queue_pop(
    struct message_pool *message_pool, struct message_queue *queue);

/* Marks the first unwritten one as written. */
static inline void
message_queue_mark_written(
    struct message_pool *message_pool, struct message_queue *queue, uint64_t now_ns)
{
	struct queued_message *queued_message =
	    message_queue_at(message_pool, queue->unwritten);

	queued_message->written_ns = now_ns;
	queue->unwritten = queued_message->next;
}

#endif
