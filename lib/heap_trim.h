/*
 * heap_trim.h - gives back to the system what the allocator keeps of memory that was
 * freed.
 *
 * glibc returns what lies free at the top of its heap, and in a process that once freed
 * large blocks not even that (mallopt(3), M_MMAP_THRESHOLD): one connection that still
 * lives holds what a crowd before it took. To look costs from one microsecond to some
 * hundred, by the number of holes; to give back, 0.2 ms for each MiB, and about as much
 * when it is needed again. So only what stayed free for a while is given back.
 */
#ifndef LIB_HEAP_TRIM_H
#define LIB_HEAP_TRIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAP_TRIM_MIN_BYTES (512 * 1024) /* bytes that are worth it */
#define HEAP_TRIM_QUIET_MS 2000

struct heap_trim {                /* all 0 at first */
	size_t released_bytes;    /* of the free bytes: those that were given back */
	size_t lowest_free_bytes; /* free bytes at the least... */
	uint32_t since_ms;        /* ...since then */
};

/* Call it now and then, with the time of a clock that only goes forward. True when
 * memory was given back. */
bool heap_trim_check(struct heap_trim *heap_trim, uint32_t now_ms);

#endif
