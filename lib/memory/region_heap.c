#include "lib/memory/region_heap.h"

#include <sys/mman.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES 4096
#define CLASS_MIN 6 /* the exponent of the smallest block */
/* The memory of a larger block is returned at once: it is copied when it grows, and the
 * old one would double what is used. */
#define KEPT_BYTES_MAX ((size_t)1 << 20)

static unsigned
class_of(size_t bytes)
{
	unsigned size_class = CLASS_MIN;
	while (size_class < REGION_HEAP_CLASSES && ((size_t)1 << size_class) < bytes)
		size_class++;
	return size_class;
}

void
region_heap_init(struct region_heap *heap, void *base, size_t size)
{
	*heap = (struct region_heap){ .base = base, .size = size };
}

void
region_heap_finish(struct region_heap *heap)
{
	for (int i = 0; i < REGION_HEAP_CLASSES; i++)
		free(heap->classes[i].blocks);
	free(heap->pending);
	*heap = (struct region_heap){ .base = NULL };
}

size_t
region_heap_block_bytes(size_t bytes)
{
	return (size_t)1 << class_of(bytes);
}

static void *
take_free(struct region_heap_class *from)
{
	void *block = from->blocks[--from->count];
	if (from->count < from->lowest)
		from->lowest = from->count;
	if (from->count < from->returned)
		from->returned = from->count;
	return block;
}

void *
region_heap_alloc(struct region_heap *heap, size_t bytes)
{
	unsigned size_class = class_of(bytes);
	if (size_class < REGION_HEAP_CLASSES && heap->classes[size_class].count > 0) {
		heap->in_use++;
		return take_free(&heap->classes[size_class]);
	}
	size_t size = (size_t)1 << size_class;
	size_t align = size < PAGE_BYTES ? size : PAGE_BYTES;
	size_t at = (heap->next + align - 1) / align * align;
	if (size_class >= REGION_HEAP_CLASSES || at > heap->size ||
	    size > heap->size - at) {
		errno = ENOMEM;
		return NULL;
	}
	heap->next = at + size;
	heap->in_use++;
	return heap->base + at;
}

/* The array with room for one more element; NULL if it stays as it is for want of
 * memory. */
static void *
grow(void *array, size_t *capacity, size_t count, size_t element_bytes)
{
	if (count < *capacity)
		return array;
	size_t wanted = *capacity == 0 ? 16 : *capacity * 2;
	void *larger = realloc(array, wanted * element_bytes);
	if (larger != NULL)
		*capacity = wanted;
	return larger;
}

/* A block that no list has room for is lost until everything is free. */
void
region_heap_free(struct region_heap *heap, void *block, size_t bytes)
{
	if (block == NULL)
		return;
	heap->in_use--;
	void *pending = grow(heap->pending, &heap->pending_capacity,
	    heap->pending_count, sizeof(*heap->pending));
	if (pending == NULL)
		return;
	heap->pending = pending;
	heap->pending[heap->pending_count++] =
	    (struct region_heap_block){ block, class_of(bytes) };
}

void
region_heap_settle_pending(struct region_heap *heap)
{
	for (size_t i = 0; i < heap->pending_count; i++) {
		unsigned size_class = heap->pending[i].size_class;
		size_t size = (size_t)1 << size_class;
		struct region_heap_class *to = &heap->classes[size_class];
		if (size > KEPT_BYTES_MAX)
			(void)madvise(heap->pending[i].block, size, MADV_REMOVE);
		void *blocks =
		    grow(to->blocks, &to->capacity, to->count, sizeof(*to->blocks));
		if (blocks == NULL)
			continue;
		to->blocks = blocks;
		to->blocks[to->count++] = heap->pending[i].block;
	}
	heap->pending_count = 0;
}

/* With no block in use everything is as at the beginning. */
static void
reset(struct region_heap *heap)
{
	(void)madvise(heap->base, heap->next, MADV_REMOVE);
	heap->next = 0;
	for (int i = 0; i < REGION_HEAP_CLASSES; i++)
		heap->classes[i].count = heap->classes[i].lowest =
		    heap->classes[i].returned = 0;
}

void
region_heap_trim(struct region_heap *heap)
{
	region_heap_settle(heap);
	size_t free_blocks = 0, idle_blocks = 0;
	for (unsigned i = CLASS_MIN; i < REGION_HEAP_CLASSES; i++) {
		struct region_heap_class *size_class = &heap->classes[i];
		free_blocks += size_class->count;
		idle_blocks += size_class->lowest;
		size_t size = (size_t)1 << i;
		while (size >= PAGE_BYTES && size_class->returned < size_class->lowest)
			(void)madvise(size_class->blocks[size_class->returned++], size,
			    MADV_REMOVE);
		size_class->lowest = size_class->count;
	}
	if (heap->in_use == 0 && heap->next > 0 && idle_blocks == free_blocks)
		reset(heap);
}
