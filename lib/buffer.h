/*
 * buffer.h - a queue of bytes in one heap block; NULL while it is empty, so that an
 * idle connection costs no memory.
 *
 *      data + start           data + end
 *           |  queued bytes     |  room  |
 */
#ifndef LIB_BUFFER_H
#define LIB_BUFFER_H

#include <stddef.h>
#include <stdint.h>

struct buffer {
	size_t start;
	size_t end;
	size_t capacity;
	uint8_t data[];
};

static inline size_t
buffer_length(const struct buffer *buffer)
{
	return buffer == NULL ? 0 : buffer->end - buffer->start;
}

/* Where buffers take their memory from; both functions get the bytes of a block. */
struct buffer_memory {
	/* *bytes grows to what the block really has. NULL with ENOMEM. */
	void *(*alloc)(size_t *bytes, void *argument);
	void (*free)(void *block, size_t bytes, void *argument);
	void *argument;
};

/* Sets the memory of all buffers of this process, before the first one; not copied.
 * NULL: the heap. With another memory a queued byte is never overwritten: its block is
 * freed, and its contents are then up to that memory. */
void buffer_set_memory(const struct buffer_memory *memory);

/* Makes room for `more` bytes at data + end; may move the queued bytes. 0, or -1 with
 * ENOMEM and the buffer unchanged. */
int buffer_reserve(struct buffer **buffer, size_t more)
    __attribute__((warn_unused_result));
/* 0, or -1 with ENOMEM and the buffer unchanged. */
int buffer_append(struct buffer **buffer, const void *data, size_t length)
    __attribute__((warn_unused_result));
/* An empty buffer in a block that is not much larger, for bytes that may lie there for
 * long. NULL with ENOMEM. */
struct buffer *buffer_create(size_t capacity) __attribute__((warn_unused_result));
/* Removes bytes from the front; frees the memory with the last one. */
void buffer_consume(struct buffer **buffer, size_t length);
void buffer_release(struct buffer **buffer);

#endif
