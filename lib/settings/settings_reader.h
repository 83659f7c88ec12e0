/*
 * settings_reader.h - private to lib/settings: errors with their place, for the
 * readers.
 *
 * All error functions return -1, for `return settings_error_...`.
 */
#ifndef LIB_SETTINGS_SETTINGS_READER_H
#define LIB_SETTINGS_SETTINGS_READER_H

#include <jansson.h>

#include "lib/settings/settings.h"

struct settings_reader {
	const struct settings *settings; /* the root table */
	const char *source;
	const char *original; /* the text; NULL: errors have no line and column */
	const char *text;     /* the same with comments blanked */
	size_t length;
	char *error;
	size_t error_size;
	void *base; /* the root struct, for origins; NULL: they are not recorded */
};

/* The place of a value, a list from the leaf to the root, which is NULL. */
struct settings_place {
	const struct settings_place *parent;
	const char *key; /* NULL: an item of a list */
	size_t index;
};

#define SETTINGS_PLACE_MAX 256
/* "listeners[0].address", into out[size]; returns the length. */
size_t settings_place_format(
    const struct settings_place *place, char *out, size_t size);

/* The object that is being read. */
struct settings_target {
	const struct settings *settings;
	void *base;
	const char *group; /* its keys with a point at the end: "limits." */
};

/* Writes "source:line:column: " and the rest, as one line. SETTINGS_NOWHERE: without
 * line and column. */
#define SETTINGS_NOWHERE SIZE_MAX
int settings_error_at(struct settings_reader *reader, size_t offset, const char *format,
    ...) __attribute__((format(printf, 3, 4)));

/* `limits.max_message: found "lots", expected a size from ...` */
int settings_error_value(struct settings_reader *reader,
    const struct settings_place *place, const json_t *found, const char *expected);
/* As settings_error_value(), for the values that the row accepts. */
int settings_error_row(struct settings_reader *reader,
    const struct settings_place *place, const json_t *found, const struct setting *row);
/* `listeners[0].address: ` and the error of the row's check. */
int settings_error_check(struct settings_reader *reader,
    const struct settings_place *place, const char *problem);
/* `unknown key "limits.max_mesage"; did you mean "limits.max_message"?` */
int settings_error_key(struct settings_reader *reader,
    const struct settings_target *target, const struct settings_place *place);
/* `listeners[0].address: missing, expected a string`, for the object at `place`. */
int settings_error_missing(struct settings_reader *reader,
    const struct settings_place *place, const struct setting *row);
/* `error` is jansson's for reader->text. */
int settings_error_syntax(struct settings_reader *reader, const json_error_t *error);
/* The byte at the offset cannot be a part of JSON. */
int settings_error_binary(struct settings_reader *reader, size_t offset);
int settings_error_memory(struct settings_reader *reader);

/* Reads the value of one row as written on a command line. */
int settings_read_row(struct settings_reader *reader, const struct setting *row,
    void *base, const char *text, const struct settings_place *place);

#endif
