/*
 * buffer.h - a queue of bytes that is only held while there are some: a pointer that is
 * NULL when the queue is empty, and one heap block else.
 *
 *      data + start          data + end
 *           |  bytes waiting  |  room  |
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

/* Makes room for `more` bytes after the end, moving what waits when that is enough. 0,
 * or -1 with ENOMEM and the buffer as it was. */
int buffer_reserve(struct buffer **buffer, size_t more)
    __attribute__((warn_unused_result));
/* Copies bytes to the end. 0, or -1 with ENOMEM and the buffer as it was. */
int buffer_append(struct buffer **buffer, const void *data, size_t length)
    __attribute__((warn_unused_result));
/* Takes bytes from the front; when the last one goes, the memory goes too. */
void buffer_consume(struct buffer **buffer, size_t length);
void buffer_release(struct buffer **buffer);

#endif
