/*
 * region_heap.h - allocates blocks within one region of memory that its caller has
 * mapped, for example shared memory that another process reads.
 *
 *   base                             next                     base + size
 *    | blocks, in use or free          | never used, untouched     |
 *
 * - A block takes a power of two of bytes, at least 64, and is aligned to its size,
 *   from 4 KiB on to a page. Untouched pages take no memory, so a large block costs
 *   what is written to it.
 * - Nothing about the blocks is stored in the region: it holds only what the caller
 *   writes there.
 * - The contents of a freed block stay until region_heap_settle(). Until then a reader
 *   may still use them.
 */
#ifndef LIB_MEMORY_REGION_HEAP_H
#define LIB_MEMORY_REGION_HEAP_H

#include <stddef.h>
#include <stdint.h>

#define REGION_HEAP_CLASSES 48

/* Free blocks of one size, the most recently freed last. */
struct region_heap_class {
	void **blocks;
	size_t count, capacity;
	size_t lowest;   /* the smallest count since the last trim */
	size_t returned; /* the first ones, whose memory the kernel has back */
};

struct region_heap_block {
	void *block;
	unsigned size_class;
};

struct region_heap {
	uint8_t *base;
	size_t size, next; /* bytes */
	size_t in_use;     /* blocks */
	struct region_heap_class classes[REGION_HEAP_CLASSES];
	struct region_heap_block *pending; /* freed, not settled */
	size_t pending_count, pending_capacity;
};

/* `base` is aligned to a page. */
void region_heap_init(struct region_heap *heap, void *base, size_t size);
/* Frees the bookkeeping, not the region. */
void region_heap_finish(struct region_heap *heap);

/* The bytes that a block for `bytes` really has. */
size_t region_heap_block_bytes(size_t bytes);
/* Contents are undefined. NULL with ENOMEM. */
void *region_heap_alloc(struct region_heap *heap, size_t bytes);
/* `bytes` as it was allocated. The contents stay until the heap is settled. */
void region_heap_free(struct region_heap *heap, void *block, size_t bytes);

void region_heap_settle_pending(struct region_heap *heap);
/* Freed blocks may be allocated again. */
static inline void
region_heap_settle(struct region_heap *heap)
{
	if (__builtin_expect(heap->pending_count > 0, 0))
		region_heap_settle_pending(heap);
}

/* Returns the memory of blocks that were free since the previous call. */
void region_heap_trim(struct region_heap *heap);

#endif
