/*
 * event_memory.h - memory of libevent in a worker. What libevent keeps of a descriptor
 * is 16 bytes, allocated when the first connection has that number and never freed. In
 * the heap they would lie between the memory of TLS handshakes and keep its pages: 90
 * bytes for each connection. Here such blocks are in a mapping of their own.
 */
#ifndef WORKER_EVENT_MEMORY_H
#define WORKER_EVENT_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* With room for `count` blocks; more come from the heap. Call it before the event
 * base is created. Without memory nothing changes. The mapping stays until the process
 * exits. */
void event_memory_start(uint64_t count);

#endif
