#include "worker/event_memory.h"

#include <sys/mman.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#define BLOCK_BYTES ((size_t)16)
#define BLOCKS_MAX (UINT64_C(1) << 24)

struct free_block {
	struct free_block *next;
};

static struct {
	uint8_t *base; /* NULL: not started */
	size_t size, used;
	struct free_block *unused;
} blocks;

static bool
is_block(const void *memory)
{
	return blocks.base != NULL &&
	    (uintptr_t)memory - (uintptr_t)blocks.base < blocks.size;
}

static void *
allocate(size_t size)
{
	struct free_block *block = blocks.unused;
	if (size > BLOCK_BYTES)
		return malloc(size);
	if (block != NULL) {
		blocks.unused = block->next;
		return block;
	}
	if (blocks.used == blocks.size)
		return malloc(size);
	blocks.used += BLOCK_BYTES;
	return blocks.base + blocks.used - BLOCK_BYTES;
}

static void
release(void *memory)
{
	if (!is_block(memory)) {
		free(memory);
		return;
	}
	struct free_block *block = memory;
	block->next = blocks.unused;
	blocks.unused = block;
}

static void *
reallocate(void *old, size_t size)
{
	if (!is_block(old))
		return realloc(old, size);
	if (size <= BLOCK_BYTES)
		return old;
	void *memory = malloc(size);
	if (memory == NULL)
		return NULL;
	memcpy(memory, old, BLOCK_BYTES);
	release(old);
	return memory;
}

void
event_memory_start(uint64_t count)
{
	if (blocks.base != NULL)
		return;
	size_t size = (size_t)(count < BLOCKS_MAX ? count : BLOCKS_MAX) * BLOCK_BYTES;
	void *base = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return;
	blocks.base = base;
	blocks.size = size;
	blocks.used = 0;
	blocks.unused = NULL;
	event_set_mem_functions(allocate, reallocate, release);
}
