/*
 * settings_reader.h - what is wrong in a file of settings, where, and what was wanted:
 * the inner side of lib/settings/settings.h, for the code that reads.
 *
 * All return -1, so that a reader ends in `return settings_error_...`.
 */
#ifndef LIB_SETTINGS_SETTINGS_READER_H
#define LIB_SETTINGS_SETTINGS_READER_H

#include <jansson.h>

#include "lib/settings/settings.h"

/* What is read, and where the error goes. */
struct settings_reader {
	const struct settings *settings; /* the table of the whole */
	const char *source;
	const char *original; /* as it came; NULL when there are no lines to name */
	const char *text;     /* without comments */
	size_t length;
	char *error;
	size_t error_size;
	void *base; /* of the whole, where origins are kept; NULL: they are not */
};

/* A value's place in the text, as a list from the leaf to the root. */
struct settings_place {
	const struct settings_place
	    *parent;     /* NULL: a member of the root, or the root itself */
	const char *key; /* NULL: an item of a list, or the root */
	size_t index;
};

#define SETTINGS_PLACE_MAX 256
/* "listeners[0].address", into out[size]; its length. */
size_t settings_place_format(
    const struct settings_place *place, char *out, size_t size);

/* What the rows of one object are read with. */
struct settings_target {
	const struct settings *settings;
	void *base;
	const char *group; /* keys before, with a point at the end: "limits." */
};

/* "source:line:column: " (without line and column when offset is SETTINGS_NOWHERE),
 * then the rest. Always one line. */
#define SETTINGS_NOWHERE SIZE_MAX
int settings_error_at(struct settings_reader *reader, size_t offset, const char *format,
    ...) __attribute__((format(printf, 3, 4)));

/* `"limits.max_message" is "lots"; a size from ... was wanted` */
int settings_error_value(struct settings_reader *reader,
    const struct settings_place *place, const json_t *found, const char *expected);
/* The same, of what the row wants. */
int settings_error_row(struct settings_reader *reader,
    const struct settings_place *place, const json_t *found, const struct setting *row);
/* `"listeners[0].address": ` and what a check of the row has to say. */
int settings_error_check(struct settings_reader *reader,
    const struct settings_place *place, const char *problem);
/* `unknown key "limits.max_mesage"; did you mean "limits.max_message"?` */
int settings_error_key(struct settings_reader *reader,
    const struct settings_target *target, const struct settings_place *place);
/* `"listeners[0].address" is missing`, of an object at `place`. */
int settings_error_missing(struct settings_reader *reader,
    const struct settings_place *place, const char *key);
/* The text is no JSON. `error` is jansson's, of reader->text. */
int settings_error_syntax(struct settings_reader *reader, const json_error_t *error);
int settings_error_memory(struct settings_reader *reader);

/* Reads the value of one row as it is written on a command line. */
int settings_read_row(struct settings_reader *reader, const struct setting *row,
    void *base, const char *text, const struct settings_place *place);

#endif
