/*
 * settings.h - configuration from one table: a setting is one row.
 *
 *        row = name, type, bounds, default, help, place in the caller's struct
 *                 |
 *       +---------+----------+------------+-------------+---------------+
 *    defaults   JSON file   KEY=VALUE   printing   JSON Schema   table of a manual
 *
 * The name is a dotted path of keys ("limits.max_message"); the keys before the last
 * are objects in the file. A row of type OBJECTS is a list of objects with a table of
 * its own.
 *
 * The caller's struct holds, for each type:
 *   BOOL            bool
 *   INTEGER, SIZE, COUNT, DURATION (ns)     uint64_t or uint32_t
 *   ENUM            an enum, the index into `names`
 *   STRING          char *, heap; NULL for ""
 *   STRINGS         char **, heap, and a size_t with their number
 *   OBJECTS         an array of structs, heap, and a size_t with their number
 *   ANNOTATION      nothing: a string that is accepted and ignored, as "$schema"
 *
 * The root's struct may hold as well where each value came from (settings_origin_...).
 *
 * An error is one line: where (file, line and column; or the option), the key's path,
 * what was found and what was wanted.
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
	SETTING_REQUIRED = 4, /* a STRING that must not be "" */
};

/* Looks at one string: 0, or -1 with a line that says what was found and wanted. */
typedef int (*setting_check)(const char *text, char *error, size_t error_size);

struct setting {
	const char *name; /* NULL ends the table */
	const char *help; /* one sentence */
	enum setting_type type;
	unsigned flags;
	size_t offset;            /* of the field in the struct */
	size_t size;              /* of the field */
	size_t count_offset;      /* of the size_t beside a list */
	const char *initial;      /* default, as for KEY=VALUE; NULL: 0, "" or empty */
	uint64_t min, max;        /* of the value, or of the number of a list's items */
	const char *const *names; /* ENUM: NULL at the end */
	const struct settings *items; /* OBJECTS: the table of each */
	setting_check check;          /* STRING, STRINGS: of each that is not "" */
	const char *pattern;          /* the same as a regular expression (ECMA 262) */
};

struct settings {
	const char *title;
	const struct setting *rows;
	size_t size;           /* of the struct that the rows fill */
	size_t origins_offset; /* of a struct settings_origins in it; 0: it has none */
};

/* Where the values come from that are no defaults; all zero to begin with. The table
 * that is read with must have its offset; tables of items have none. */
struct settings_origins {
	struct settings_origin {
		char *name;   /* "limits.max_message", "listeners[0].reply" */
		char *source; /* as given to the function that has read it */
	} * rows;
	size_t count;
};

#define SETTING_FIELD(type, member)                                                    \
	.offset = offsetof(type, member), .size = sizeof(((type *)0)->member)

/* Fills a struct that is all zero with the defaults. 0, or -1 with the error. In all of
 * these the struct, also one that is half filled, is freed with settings_finish. */
int settings_read_defaults(const struct settings *settings, void *base, char *error,
    size_t error_size) __attribute__((warn_unused_result));

/* Reads JSON with comments over what the struct holds. `source` names it in errors. */
int settings_read_text(const struct settings *settings, void *base, const char *source,
    const char *text, size_t length, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* Sets one value from "KEY=VALUE": KEY as "limits.max_message" or "listeners[0].reply",
 * VALUE without quotes, or JSON for a list. `source` is the option, for errors. */
int settings_override(const struct settings *settings, void *base, const char *source,
    const char *override, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* Frees what the rows own and sets it to NULL. Knows only what the tables know. */
void settings_finish(const struct settings *settings, void *base);

/* The values as JSON that reads back to the same; heap, NULL when out of memory. */
char *settings_write_values(const struct settings *settings, const void *base);
/* The source of each value by its full name, as JSON; a default's is "default". */
char *settings_write_origins(const struct settings *settings, const void *base);

/* Says where a value comes from that was not read here. 0, or -1 with errno. */
int settings_origin_set(const struct settings *settings, void *base, const char *name,
    const char *source) __attribute__((warn_unused_result));
/* The source of a value; NULL: it is the default. */
const char *settings_origin_of(
    const struct settings *settings, const void *base, const char *name);
/* Forgets those of a list's items; with "" all. */
void settings_origin_forget(
    const struct settings *settings, void *base, const char *list);
typedef void (*settings_origin_visitor)(
    const char *name, const char *source, void *arg);
void settings_origin_visit(const struct settings *settings, const void *base,
    settings_origin_visitor visit, void *arg);
void settings_origin_finish(const struct settings *settings, void *base);

/* A JSON Schema (draft 7, which all editors read) that accepts what settings_read_text
 * accepts, but for comments, bounds of numbers with a unit, and checks that no pattern
 * can make; heap.
 */
char *settings_write_schema(const struct settings *settings);

/* Calls visit for each row, those of nested tables as "listeners[].reply". */
typedef void (*settings_visitor)(
    const char *name, const struct setting *row, void *arg);
void settings_walk(const struct settings *settings, settings_visitor visit, void *arg);

#define SETTINGS_EXPECTED_MAX 256
/* What a row accepts: "a size from 1 to 1G (as \"64k\")"; into buffer, returned. */
const char *settings_expected(const struct setting *row, char *buffer);

/* The row of that full name, or NULL. */
const struct setting *settings_find(const struct settings *settings, const char *name);

/* True when some row's name starts with `name` and a point. */
bool settings_is_group(const struct settings *settings, const char *name);

/* The number in a field of type BOOL to ENUM. */
uint64_t settings_get(const struct setting *row, const void *base);
void settings_put(const struct setting *row, void *base, uint64_t value);

#endif
