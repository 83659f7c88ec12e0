#include "lib/heap_trim.h"

#include <malloc.h>

bool
heap_trim_check(struct heap_trim *heap_trim, uint32_t now_ms)
{
	size_t free_now = mallinfo2().fordblks;
	if (free_now < heap_trim->released_bytes)
		heap_trim->released_bytes = free_now;
	if (free_now < heap_trim->lowest_free_bytes)
		heap_trim->lowest_free_bytes = free_now;
	if (now_ms - heap_trim->since_ms < HEAP_TRIM_QUIET_MS)
		return false;
	bool is_worthwhile = heap_trim->lowest_free_bytes >=
	    heap_trim->released_bytes + HEAP_TRIM_MIN_BYTES;
	if (is_worthwhile) {
		malloc_trim(0);
		heap_trim->released_bytes = free_now = mallinfo2().fordblks;
	}
	heap_trim->lowest_free_bytes = free_now;
	heap_trim->since_ms = now_ms;
	return is_worthwhile;
}
