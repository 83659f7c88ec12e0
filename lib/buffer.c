#include "lib/buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY (1024 - sizeof(struct buffer))
/* No capacity between these two: glibc maps blocks from 128 KiB on separately
 * (mallopt(3)). They use memory only for touched pages, grow without a copy and leave
 * no hole in the heap. */
#define HEAP_CAPACITY_MAX (32 * 1024)
#define MAPPED_CAPACITY_MIN (256 * 1024)
#define CAPACITY_MAX (SIZE_MAX / 8) /* doubling does not overflow */

static const struct buffer_memory *memory; /* NULL: the heap */

void
buffer_set_memory(const struct buffer_memory *new_memory)
{
	memory = new_memory;
}

/* A new block with the contents of `b`, which is freed. NULL with ENOMEM. */
static struct buffer *
move_to_memory(struct buffer *b, size_t capacity)
{
	size_t bytes = sizeof(*b) + capacity, length = buffer_length(b);
	struct buffer *larger = memory->alloc(&bytes, memory->argument);
	if (larger == NULL)
		return NULL;
	*larger = (struct buffer){ .end = length, .capacity = bytes - sizeof(*b) };
	if (b == NULL)
		return larger;
	memcpy(larger->data, b->data + b->start, length);
	memory->free(b, sizeof(*b) + b->capacity, memory->argument);
	return larger;
}

/* As above, on the heap. realloc(3) grows large blocks by moving their pages
 * (mremap(2)). */
static struct buffer *
move_on_heap(struct buffer *b, size_t capacity)
{
	size_t length = buffer_length(b);
	struct buffer *larger = realloc(b, sizeof(*larger) + capacity);
	if (larger == NULL)
		return NULL;
	if (b != NULL && larger->start > 0)
		memmove(larger->data, larger->data + larger->start, length);
	*larger = (struct buffer){ .end = length, .capacity = capacity };
	return larger;
}

int
buffer_reserve(struct buffer **buffer, size_t more)
{
	struct buffer *b = *buffer;
	if (b != NULL && b->capacity - b->end >= more)
		return 0;
	size_t length = buffer_length(b);
	/* Moving pays only if it copies less than it frees. */
	if (memory == NULL && b != NULL && b->start >= length &&
	    b->capacity - length >= more) {
		memcpy(b->data, b->data + b->start, length);
		b->start = 0;
		b->end = length;
		return 0;
	}
	if (more > CAPACITY_MAX - length) {
		errno = ENOMEM;
		return -1;
	}
	size_t capacity = b == NULL ? FIRST_CAPACITY : b->capacity;
	while (capacity < length + more)
		capacity *= 2;
	if (capacity > HEAP_CAPACITY_MAX && capacity < MAPPED_CAPACITY_MIN)
		capacity = MAPPED_CAPACITY_MIN;
	struct buffer *larger =
	    memory != NULL ? move_to_memory(b, capacity) : move_on_heap(b, capacity);
	if (larger == NULL)
		return -1;
	*buffer = larger;
	return 0;
}

int
buffer_append(struct buffer **buffer, const void *data, size_t length)
{
	if (length == 0)
		return 0;
	if (buffer_reserve(buffer, length) < 0)
		return -1;
	memcpy((*buffer)->data + (*buffer)->end, data, length);
	(*buffer)->end += length;
	return 0;
}

struct buffer *
buffer_create(size_t capacity)
{
	return memory != NULL ? move_to_memory(NULL, capacity)
			      : move_on_heap(NULL, capacity);
}

void
buffer_consume(struct buffer **buffer, size_t length)
{
	if (length >= buffer_length(*buffer))
		buffer_release(buffer);
	else
		(*buffer)->start += length;
}

void
buffer_release(struct buffer **buffer)
{
	struct buffer *b = *buffer;
	*buffer = NULL;
	if (b != NULL && memory != NULL)
		memory->free(b, sizeof(*b) + b->capacity, memory->argument);
	else
		free(b);
}
