#include "lib/json/json_load.h"

#include <errno.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>

struct source {
	FILE *file; /* NULL: text */
	const char *text;
	size_t length;
	size_t flags;
	json_error_t *error;
	bool is_string; /* the text is a string, not JSON */
};

/* Blocks allocated by jansson since begin(). */
static struct {
	void **blocks;
	size_t count, capacity;
	jmp_buf out; /* taken when an allocation fails */
	json_malloc_t previous_malloc;
	json_free_t previous_free;
} allocations;

static void *
allocate(size_t size)
{
	if (allocations.count == allocations.capacity) {
		size_t capacity = allocations.capacity * 2 + 64;
		void **blocks =
		    reallocarray(allocations.blocks, capacity, sizeof(*blocks));
		if (blocks == NULL)
			longjmp(allocations.out, 1);
		allocations.blocks = blocks;
		allocations.capacity = capacity;
	}
	void *block = malloc(size > 0 ? size : 1);
	if (block == NULL)
		longjmp(allocations.out, 1);
	allocations.blocks[allocations.count++] = block;
	return block;
}

/* Searches backwards: mostly one of the last blocks is freed. */
static void
release(void *block)
{
	for (size_t i = allocations.count; block != NULL && i-- > 0;)
		if (allocations.blocks[i] == block) {
			allocations.blocks[i] = allocations.blocks[--allocations.count];
			break;
		}
	allocations.previous_free(block);
}

static void
begin(void)
{
	json_get_alloc_funcs(&allocations.previous_malloc, &allocations.previous_free);
	json_set_alloc_funcs(allocate, release);
	allocations.count = 0;
}

static void
end(void)
{
	json_set_alloc_funcs(allocations.previous_malloc, allocations.previous_free);
	free(allocations.blocks);
	allocations.blocks = NULL;
	allocations.count = allocations.capacity = 0;
}

static json_t *
parse(const struct source *source)
{
	if (source->file != NULL)
		return json_loadf(source->file, source->flags, source->error);
	if (source->is_string)
		return json_string(source->text);
	return json_loadb(source->text, source->length, source->flags, source->error);
}

static json_t *
load(const struct source *source)
{
	begin();
	if (setjmp(allocations.out) != 0) {
		while (allocations.count > 0)
			allocations.previous_free(
			    allocations.blocks[--allocations.count]);
		end();
		errno = ENOMEM;
		return NULL;
	}
	json_t *json = parse(source);
	end();
	errno = 0;
	return json;
}

json_t *
json_load_text(const char *text, size_t length, size_t flags, json_error_t *error)
{
	return load(&(struct source){
	    .text = text, .length = length, .flags = flags, .error = error });
}

json_t *
json_load_stream(FILE *file, size_t flags, json_error_t *error)
{
	return load(&(struct source){ .file = file, .flags = flags, .error = error });
}

json_t *
json_load_string(const char *text)
{
	return load(&(struct source){ .text = text, .is_string = true });
}
