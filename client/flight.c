#include "client/flight.h"

#include <stdlib.h>

#define FIRST_ROOM 64

void
flights_init(struct flights *flights)
{
	*flights = (struct flights){ .free = FLIGHT_NONE };
}

void
flights_finish(struct flights *flights)
{
	free(flights->records);
	flights_init(flights);
}

static int
grow(struct flights *flights)
{
	uint32_t room = flights->room > 0 ? flights->room * 2 : FIRST_ROOM;
	if (room <= flights->room)
		return -1;
	struct flight *records =
	    realloc(flights->records, (size_t)room * sizeof(struct flight));

	if (records == NULL)
		return -1;
	flights->records = records;
	flights->room = room;
	return 0;
}

int
flight_push(struct flights *flights, struct flight_queue *queue, uint64_t intended_ns)
{
	uint32_t index = flights->free;

	if (index != FLIGHT_NONE) {
		flights->free = flights->records[index].next;
	} else {
		if (flights->count == flights->room && grow(flights) < 0)
			return -1;
		index = flights->count++;
	}
	flights->records[index] =
	    (struct flight){ .intended_ns = intended_ns, .next = FLIGHT_NONE };
	if (queue->tail != FLIGHT_NONE)
		flights->records[queue->tail].next = index;
	else
		queue->head = index;
	queue->tail = index;
	if (queue->unwritten == FLIGHT_NONE)
		queue->unwritten = index;
	return 0;
}

struct flight
flight_pop(struct flights *flights, struct flight_queue *queue)
{
	uint32_t index = queue->head;
	struct flight flight = flights->records[index];

	queue->head = flight.next;
	if (queue->head == FLIGHT_NONE)
		queue->tail = FLIGHT_NONE;
	if (queue->unwritten == index)
		queue->unwritten = flight.next;
	flights->records[index].next = flights->free;
	flights->free = index;
	return flight;
}
