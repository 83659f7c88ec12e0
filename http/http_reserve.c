#include "http/http_reserve.h"

#include <stdlib.h>

#include <event2/event.h>

#define RESERVE_BYTES (64 * 1024)

static void *reserve;

static void
fill_up(void)
{
	if (reserve == NULL)
		reserve = malloc(RESERVE_BYTES);
}

/* True when there was something: it is worth another try. */
static int
give_up(void)
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
	if (memory == NULL && give_up())
		memory = malloc(size);
	fill_up();
	return memory;
}

static void *
reallocate(void *old, size_t size)
{
	void *memory = realloc(old, size);
	if (memory == NULL && size > 0 && give_up())
		memory = realloc(old, size);
	fill_up();
	return memory;
}

void
http_reserve_start(void)
{
	fill_up();
	event_set_mem_functions(allocate, reallocate, free);
}
