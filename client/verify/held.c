#include "client/verify/held.h"

#include <stdlib.h>
#include <string.h>

#include "lib/xmalloc.h"

#define FIRST_ROOM 512

struct held *
held_create(void)
{
	return xcalloc(1, sizeof(struct held));
}

void
held_destroy(struct held *held, struct held_budget *budget)
{
	if (held == NULL)
		return;
	budget->bytes -= held->room;
	free(held->bytes);
	free(held);
}

/* Moves the undecided bytes to the front. */
static void
compact(struct held *held)
{
	uint32_t kept = 0;
	memmove(held->bytes, held_data(held), held_length(held));
	for (uint32_t i = 0; i < held->mark_count; i++) {
		struct held_mark mark = held->marks[i];
		if (mark.end <= held->start && i + 1 < held->mark_count)
			continue;
		mark.end = mark.end > held->start ? mark.end - held->start : 0;
		held->marks[kept++] = mark;
	}
	held->mark_count = kept;
	held->length -= held->start;
	held->start = 0;
}

static void
make_room(struct held *held, struct held_budget *budget, size_t more)
{
	if (held->start > 0 && held->start >= held_length(held))
		compact(held);
	if (held->room - held->length >= more)
		return;
	size_t room = held->room > 0 ? held->room : FIRST_ROOM;
	while (room - held->length < more)
		room *= 2;
	held->bytes = xreallocarray(held->bytes, room, 1);
	budget->bytes += room - held->room;
	held->room = room;
}

/* With too many marks every second one goes; its bytes count as arrived with the
 * next. */
static void
mark(struct held *held, uint64_t now_ns)
{
	struct held_mark *marks = held->marks;
	if (held->mark_count > 0 && marks[held->mark_count - 1].ns == now_ns)
		held->mark_count--;
	if (held->mark_count == HELD_MARKS_MAX) {
		for (uint32_t i = 0; i < HELD_MARKS_MAX / 2; i++)
			marks[i] = marks[2 * i + 1];
		held->mark_count /= 2;
	}
	marks[held->mark_count++] = (struct held_mark){ held->length, now_ns };
}

void
held_append(struct held *held, struct held_budget *budget, const uint8_t *data,
    size_t length, uint64_t now_ns)
{
	if (length == 0)
		return;
	make_room(held, budget, length);
	memcpy(held->bytes + held->length, data, length);
	held->length += length;
	mark(held, now_ns);
}

void
held_take(struct held *held, size_t n)
{
	held->start += n;
}

void
held_damaged(struct held *held)
{
	held->state = HELD_DAMAGED;
	held->searched = held->tail_searched = 0;
	held->released = held->tail_hits = 0;
	held->outstanding = 0;
	held->outstanding_to = (struct cursor){ .message = 0 };
	held->volume_end = held->frame_end = 0;
}

uint64_t
held_taken_ns(const struct held *held)
{
	uint32_t i = 0;
	while (i + 1 < held->mark_count && held->marks[i].end < held->start)
		i++;
	return held->mark_count > 0 ? held->marks[i].ns : 0;
}
