#include "lib/heap.h"

#include <malloc.h>

#ifdef __GLIBC__
static size_t
free_bytes(void)
{
#if __GLIBC_PREREQ(2, 33)
	return mallinfo2().fordblks;
#else
	return (unsigned)mallinfo().fordblks;
#endif
}
#endif

bool
heap_tidy(struct heap *heap, uint32_t now_ms)
{
#ifdef __GLIBC__
	size_t free_now = free_bytes();
	if (free_now < heap->given)
		heap->given = free_now;
	if (free_now < heap->lowest)
		heap->lowest = free_now;
	if (now_ms - heap->since_ms < HEAP_CALM_MS)
		return false;
	bool is_worth_it = heap->lowest >= heap->given + HEAP_PIECE;
	if (is_worth_it) {
		malloc_trim(0);
		heap->given = free_now = free_bytes();
	}
	heap->lowest = free_now;
	heap->since_ms = now_ms;
	return is_worth_it;
#else
	(void)heap;
	(void)now_ms;
	return false;
#endif
}
