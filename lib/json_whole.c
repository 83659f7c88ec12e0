#include "lib/json_whole.h"

#include <errno.h>
#include <setjmp.h>
#include <stdlib.h>

struct source {
	json_t *(*read)(const struct source *source);
	const char *text;
	size_t length;
	FILE *file;
	size_t flags;
	json_error_t *error;
};

/* What jansson has allocated since the reading began. */
static struct {
	void **blocks;
	size_t count, room;
	jmp_buf out; /* where an allocation that fails leads to */
	json_malloc_t former_malloc;
	json_free_t former_free;
} kept;

static void *
allocate(size_t size)
{
	if (kept.count == kept.room) {
		size_t room = kept.room * 2 + 64;
		void **blocks = reallocarray(kept.blocks, room, sizeof(*blocks));
		if (blocks == NULL)
			longjmp(kept.out, 1);
		kept.blocks = blocks;
		kept.room = room;
	}
	void *block = malloc(size > 0 ? size : 1);
	if (block == NULL)
		longjmp(kept.out, 1);
	kept.blocks[kept.count++] = block;
	return block;
}

/* Mostly one of the last. */
static void
give_back(void *block)
{
	for (size_t i = kept.count; block != NULL && i-- > 0;)
		if (kept.blocks[i] == block) {
			kept.blocks[i] = kept.blocks[--kept.count];
			break;
		}
	free(block);
}

static void
begin(void)
{
	json_get_alloc_funcs(&kept.former_malloc, &kept.former_free);
	json_set_alloc_funcs(allocate, give_back);
	kept.count = 0;
}

static void
end(void)
{
	json_set_alloc_funcs(kept.former_malloc, kept.former_free);
	free(kept.blocks);
	kept.blocks = NULL;
	kept.count = kept.room = 0;
}

static json_t *
read_whole(const struct source *source)
{
	begin();
	if (setjmp(kept.out) != 0) {
		while (kept.count > 0)
			free(kept.blocks[--kept.count]);
		end();
		errno = ENOMEM;
		return NULL;
	}
	json_t *json = source->read(source);
	end();
	errno = 0;
	return json;
}

static json_t *
read_text(const struct source *source)
{
	return json_loadb(source->text, source->length, source->flags, source->error);
}

json_t *
json_whole_load(const char *text, size_t length, size_t flags, json_error_t *error)
{
	return read_whole(&(struct source){ .read = read_text,
	    .text = text,
	    .length = length,
	    .flags = flags,
	    .error = error });
}

static json_t *
read_file(const struct source *source)
{
	return json_loadf(source->file, source->flags, source->error);
}

json_t *
json_whole_load_file(FILE *file, size_t flags, json_error_t *error)
{
	return read_whole(&(struct source){
	    .read = read_file, .file = file, .flags = flags, .error = error });
}

static json_t *
read_string(const struct source *source)
{
	return json_string(source->text);
}

json_t *
json_whole_string(const char *text)
{
	return read_whole(&(struct source){ .read = read_string, .text = text });
}
