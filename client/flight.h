/*
 * flight.h - the messages that are due or in flight: one small record each, kept in a
 * queue for each connection, taken from one pool of the process.
 *
 * A record is there from the moment that the message is due until it is answered or
 * lost; a connection with nothing in flight holds none.
 */
#ifndef CLIENT_FLIGHT_H
#define CLIENT_FLIGHT_H

#include <stdint.h>

#define FLIGHT_NONE UINT32_MAX

struct flight {
	uint64_t intended_ns; /* when it should have been sent */
	uint64_t written_ns;  /* when its first byte was given to the kernel, or was
				 refused by it with nothing else in flight; 0: not yet */
	uint32_t next;        /* of the queue, or of the free records */
};

struct flights {
	struct flight *records;
	uint32_t count; /* ever taken from the memory */
	uint32_t room;
	uint32_t free;
};

/* A queue, the oldest first. */
struct flight_queue {
	uint32_t head;
	uint32_t tail;
	uint32_t unwritten; /* the first whose first byte is not written yet */
};

static inline void
flight_queue_init(struct flight_queue *queue)
{
	queue->head = queue->tail = queue->unwritten = FLIGHT_NONE;
}

void flights_init(struct flights *flights);
void flights_finish(struct flights *flights);

/* Adds one at the end. 0, or -1 when out of memory. */
int flight_push(struct flights *flights, struct flight_queue *queue,
    uint64_t intended_ns) __attribute__((warn_unused_result));

static inline struct flight *
flight_at(const struct flights *flights, uint32_t index)
{
	return &flights->records[index];
}

/* Takes the oldest out of the queue and gives it back; the queue is not empty. */
struct flight flight_pop(struct flights *flights, struct flight_queue *queue);

/* Marks the first unwritten one as written. */
static inline void
flight_write(struct flights *flights, struct flight_queue *queue, uint64_t now_ns)
{
	struct flight *flight = flight_at(flights, queue->unwritten);

	flight->written_ns = now_ns;
	queue->unwritten = flight->next;
}

#endif
