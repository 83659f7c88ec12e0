#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/printable.h"
#include "lib/settings/settings.h"

/* NULL if the table records no sources. */
static struct settings_origins *
origins_in(const struct settings *settings, const void *base)
{
	if (settings->origins_offset == 0)
		return NULL;
	return (
	    struct settings_origins *)(void *)((char *)base + settings->origins_offset);
}

static struct settings_origin *
find(const struct settings_origins *origins, const char *name)
{
	for (size_t i = 0; origins != NULL && i < origins->count; i++)
		if (strcmp(origins->rows[i].name, name) == 0)
			return &origins->rows[i];
	return NULL;
}

static int
add(struct settings_origins *origins, const char *name, const char *source)
{
	struct settings_origin *rows =
	    realloc(origins->rows, (origins->count + 1) * sizeof(*rows));
	struct settings_origin row = { strdup(name), strdup(source) };
	if (rows != NULL)
		origins->rows = rows;
	if (rows == NULL || row.name == NULL || row.source == NULL) {
		free(row.name);
		free(row.source);
		errno = ENOMEM;
		return -1;
	}
	printable_sanitize(row.source); /* JSON cannot contain all bytes of a path */
	rows[origins->count++] = row;
	return 0;
}

int
settings_origin_set(
    const struct settings *settings, void *base, const char *name, const char *source)
{
	struct settings_origins *origins = origins_in(settings, base);
	struct settings_origin *row = find(origins, name);
	if (origins == NULL)
		return 0;
	if (row == NULL)
		return add(origins, name, source);
	char *copy = strdup(source);
	if (copy == NULL)
		return -1;
	free(row->source);
	row->source = printable_sanitize(copy);
	return 0;
}

const char *
settings_origin_of(const struct settings *settings, const void *base, const char *name)
{
	const struct settings_origin *row = find(origins_in(settings, base), name);
	return row != NULL ? row->source : NULL;
}

void
settings_origin_forget(const struct settings *settings, void *base, const char *list)
{
	struct settings_origins *origins = origins_in(settings, base);
	size_t kept = 0, length = strlen(list);
	for (size_t i = 0; origins != NULL && i < origins->count; i++) {
		struct settings_origin row = origins->rows[i];
		bool is_in_list = length == 0 ||
		    (strncmp(row.name, list, length) == 0 && row.name[length] == '[');
		if (is_in_list) {
			free(row.name);
			free(row.source);
		} else {
			origins->rows[kept++] = row;
		}
	}
	if (origins != NULL)
		origins->count = kept;
}

void
settings_origin_visit(const struct settings *settings, const void *base,
    settings_origin_visitor visit, void *arg)
{
	const struct settings_origins *origins = origins_in(settings, base);
	for (size_t i = 0; origins != NULL && i < origins->count; i++)
		visit(origins->rows[i].name, origins->rows[i].source, arg);
}

void
settings_origin_finish(const struct settings *settings, void *base)
{
	struct settings_origins *origins = origins_in(settings, base);
	if (origins == NULL)
		return;
	settings_origin_forget(settings, base, "");
	free(origins->rows);
	origins->rows = NULL;
}
