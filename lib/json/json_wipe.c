#include "lib/json/json_wipe.h"

#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static json_malloc_t previous_malloc;
static json_free_t previous_free;

static void
wipe(void *block)
{
	if (block != NULL)
		explicit_bzero(block, malloc_usable_size(block));
	previous_free(block);
}

void
json_wipe_begin(void)
{
	json_get_alloc_funcs(&previous_malloc, &previous_free);
	json_set_alloc_funcs(previous_malloc, wipe);
}

void
json_wipe_end(void)
{
	json_set_alloc_funcs(previous_malloc, previous_free);
}
