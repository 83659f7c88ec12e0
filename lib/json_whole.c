#include "lib/json_whole.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

static bool has_run_out;

static void *
allocate(size_t size)
{
	void *memory = malloc(size);
	if (memory == NULL && size > 0)
		has_run_out = true;
	return memory;
}

static void
begin(json_malloc_t *ret_malloc, json_free_t *ret_free)
{
	json_get_alloc_funcs(ret_malloc, ret_free);
	json_set_alloc_funcs(allocate, free);
	has_run_out = false;
}

static json_t *
end(json_t *json, json_malloc_t before, json_free_t free_before)
{
	json_set_alloc_funcs(before, free_before);
	if (has_run_out) {
		json_decref(json);
		json = NULL;
	}
	errno = has_run_out ? ENOMEM : 0;
	return json;
}

json_t *
json_whole_load(const char *text, size_t length, size_t flags, json_error_t *error)
{
	json_malloc_t before;
	json_free_t free_before;
	begin(&before, &free_before);
	return end(json_loadb(text, length, flags, error), before, free_before);
}

json_t *
json_whole_string(const char *text)
{
	json_malloc_t before;
	json_free_t free_before;
	begin(&before, &free_before);
	return end(json_string(text), before, free_before);
}
