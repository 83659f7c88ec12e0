/*
 * heap_trim.h - returns free heap memory to the kernel after a peak.
 *
 * glibc returns only free memory at the top of its heap, and in a process that once
 * freed large blocks not even that (mallopt(3), M_MMAP_THRESHOLD): one live connection
 * pins the heap of all before it. Measured: a worker that held unfinished messages of
 * 30,000 bytes on 5,000 connections grew from 3 to 164 MB; with 50 of them left it kept
 * 161 MB without malloc_trim(3) and 5 MB with it. mallinfo2(3) costs 1 to some 100 us,
 * by the number of holes; a trim 0.2 ms per MiB, and about as much when the memory is
 * needed again. So only memory that stays free for a while is returned.
 */
#ifndef LIB_HEAP_TRIM_H
#define LIB_HEAP_TRIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAP_TRIM_MIN_BYTES (512 * 1024) /* less is not worth a trim */
#define HEAP_TRIM_QUIET_MS 2000

struct heap_trim {                /* all zero at first */
	size_t released_bytes;    /* free bytes that have been returned already */
	size_t lowest_free_bytes; /* the fewest free bytes since since_ms */
	uint32_t since_ms;
};

/* Call it every second or so with the time of a monotonic clock. True if memory was
 * returned. */
bool heap_trim_check(struct heap_trim *heap_trim, uint32_t now_ms);

#endif
