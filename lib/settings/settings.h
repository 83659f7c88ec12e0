/*
 * settings.h - configuration from a table with one row per setting.
 *
 *        row = name, type, bounds, default, help, field of the caller's struct
 *                 |
 *       +---------+----------+------------+-------------+---------------+
 *    defaults   JSON file   KEY=VALUE   printing   JSON Schema   table of a manual
 *
 * The name is a dotted path of keys ("limits.max_message"): all but the last are
 * objects in the file. A row of type OBJECTS is a list of objects with their own table.
 *
 * The field of the caller's struct, by type:
 *   BOOL            bool
 *   INTEGER, SIZE, COUNT, DURATION (ns)     uint64_t or uint32_t
 *   ENUM            an enum, the index into `names`
 *   STRING          char *, heap; NULL for ""
 *   STRINGS         char **, heap, and a size_t with their number
 *   OBJECTS         an array of structs, heap, and a size_t with their number
 *   ANNOTATION      none: a string that is accepted and ignored, as "$schema"
 *
 * The root struct may also record the source of each value (struct settings_origins).
 *
 * An error is one line: file, line and column, or the option; the key; what was found
 * and what was expected.
 */
#ifndef LIB_SETTINGS_SETTINGS_H
#define LIB_SETTINGS_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum setting_type {
	SETTING_BOOL,
	SETTING_INTEGER,
	SETTING_SIZE,
	SETTING_COUNT,
	SETTING_DURATION,
	SETTING_ENUM,
	SETTING_STRING,
	SETTING_STRINGS,
	SETTING_OBJECTS,
	SETTING_ANNOTATION,
};

enum setting_flags {
	SETTING_AUTO = 1, /* "auto" is allowed and stored as 0, outside the bounds */
	SETTING_OFF = 2,  /* 0 is allowed, below the bounds */
	SETTING_REQUIRED = 4, /* STRING: must be set, and not to "" */
};

/* 0, or -1 with `found "TEXT", expected ...`. */
typedef int (*setting_check)(const char *text, char *error, size_t error_size);

struct setting {
	const char *name; /* NULL ends the table */
	const char *help; /* one sentence */
	enum setting_type type;
	unsigned flags;
	size_t offset;            /* of the field in the struct */
	size_t size;              /* of the field */
	size_t count_offset;      /* of the size_t of a list */
	const char *initial;      /* default, as in KEY=VALUE; NULL: 0, "" or empty */
	uint64_t min, max;        /* of the value, or of the number of items */
	const char *const *names; /* ENUM: NULL at the end */
	const struct settings *items; /* OBJECTS: the table of each */
	setting_check check;          /* STRING, STRINGS: for each but "" */
	const char *pattern;          /* the check as a regular expression (ECMA 262) */
};

struct settings {
	const char *title;
	const struct setting *rows;
	size_t size;           /* of the struct that the rows fill */
	size_t origins_offset; /* of its struct settings_origins; 0: it has none */
};

/* Sources of the values that are not defaults; all zero at first. Only the root table
 * has them. */
struct settings_origins {
	struct settings_origin {
		char *name;   /* "limits.max_message", "listeners[0].reply" */
		char *source; /* as passed to the function that read it */
	} * rows;
	size_t count;
};

#define SETTING_FIELD(type, member)                                                    \
	.offset = offsetof(type, member), .size = sizeof(((type *)0)->member)

/* Fills a zeroed struct with the defaults. 0, or -1 with the error. After an error of
 * any function the struct is still to be freed with settings_finish(). */
int settings_read_defaults(const struct settings *settings, void *base, char *error,
    size_t error_size) __attribute__((warn_unused_result));

/* Overrides values by those of JSON with comments. `source` names it in errors. */
int settings_read_text(const struct settings *settings, void *base, const char *source,
    const char *text, size_t length, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* Sets one value from "KEY=VALUE". KEY is as "limits.max_message" or
 * "listeners[0].reply"; VALUE has no quotes, but is JSON for a list. `source` names the
 * option in errors. */
int settings_override(const struct settings *settings, void *base, const char *source,
    const char *override, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* Frees what the rows own and sets it to NULL. */
void settings_finish(const struct settings *settings, void *base);

/* JSON that reads back to the same values; heap, NULL when out of memory. */
char *settings_write_values(const struct settings *settings, const void *base);
/* JSON with the source of each value by its full name; "default" for a default. */
char *settings_write_origins(const struct settings *settings, const void *base);

/* Records the source of a value that was set in another way. 0, or -1 with errno. */
int settings_origin_set(const struct settings *settings, void *base, const char *name,
    const char *source) __attribute__((warn_unused_result));
/* The source of a value; NULL: it is the default. */
const char *settings_origin_of(
    const struct settings *settings, const void *base, const char *name);
/* Forgets the sources of a list's items; with "" all sources. */
void settings_origin_forget(
    const struct settings *settings, void *base, const char *list);
typedef void (*settings_origin_visitor)(
    const char *name, const char *source, void *arg);
void settings_origin_visit(const struct settings *settings, const void *base,
    settings_origin_visitor visit, void *arg);
void settings_origin_finish(const struct settings *settings, void *base);

/* A JSON Schema (draft 7, for editors) of what settings_read_text() accepts, without
 * comments, bounds of numbers with a unit, and checks that have no pattern; heap. */
char *settings_write_schema(const struct settings *settings);

/* Calls visit for each row, those of nested tables as "listeners[].reply". */
typedef void (*settings_visitor)(
    const char *name, const struct setting *row, void *arg);
void settings_walk(const struct settings *settings, settings_visitor visit, void *arg);

#define SETTINGS_EXPECTED_MAX 256
/* Describes the accepted values of a row, `a size from 1 to 1G (as "64k")`, in buffer,
 * which is returned. */
const char *settings_expected(const struct setting *row, char *buffer);

/* NULL if no row has this name. */
const struct setting *settings_find(const struct settings *settings, const char *name);

/* True if the name of a row starts with `name` and a dot. */
bool settings_is_group(const struct settings *settings, const char *name);

/* The value of a field of type BOOL to ENUM. */
uint64_t settings_get(const struct setting *row, const void *base);
void settings_put(const struct setting *row, void *base, uint64_t value);

#endif
