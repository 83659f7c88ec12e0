#include "http/http_reserve.h"

#include <stdlib.h>

#include <event2/event.h>

#define RESERVE_BYTES (64 * 1024)

static void *reserve;

static void
refill(void)
{
	if (reserve == NULL)
		reserve = malloc(RESERVE_BYTES);
}

/* True if the reserve was there: try again. */
static int
release(void)
{
	int had_one = reserve != NULL;
	free(reserve);
	reserve = NULL;
	return had_one;
}

static void *
allocate(size_t size)
{
	void *memory = malloc(size);
	if (memory == NULL && release())
		memory = malloc(size);
	refill();
	return memory;
}

static void *
reallocate(void *old, size_t size)
{
	void *memory = realloc(old, size);
	if (memory == NULL && size > 0 && release())
		memory = realloc(old, size);
	refill();
	return memory;
}

void
http_reserve_start(void)
{
	refill();
	event_set_mem_functions(allocate, reallocate, free);
}
