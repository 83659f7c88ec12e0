/*
 * json_record.h - structs as JSON objects: one table of fields to write, read, add,
 * copy and free them.
 *
 *   static const struct json_record_field fields[] = {
 *           JSON_RECORD(struct thing, sent, JSON_RECORD_SUM),
 *           JSON_RECORD(struct thing, hostname, JSON_RECORD_OWN),
 *           { .name = NULL },
 *   };
 *
 * Texts are on the heap and owned by the struct.
 */
#ifndef LIB_JSON_JSON_RECORD_H
#define LIB_JSON_JSON_RECORD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/json/json_reader.h"

enum json_record_kind {
	JSON_RECORD_COUNT,         /* uint64_t */
	JSON_RECORD_COUNT_OR_NULL, /* uint64_t; UINT64_MAX, unknown, is null in JSON */
	JSON_RECORD_WORD,          /* uint64_t; from 2^63 on negative in JSON */
	JSON_RECORD_INT,           /* int, within its bounds */
	JSON_RECORD_UINT32,        /* uint32_t, within its bounds */
	JSON_RECORD_REAL,          /* double */
	JSON_RECORD_REAL_OR_NULL,  /* double; NAN, unknown, is null in JSON */
	JSON_RECORD_FLAG,          /* bool */
	JSON_RECORD_TEXT,   /* char *; NULL is null in JSON, null is read as "" */
	JSON_RECORD_TEXTS,  /* char ** and a size_t with their number */
	JSON_RECORD_COUNTS, /* uint64_t[], one for each of `names` */
	JSON_RECORD_PART,   /* a struct */
};

/* How json_record_add() adds a field; texts stay, parts follow their own fields. */
enum json_record_sum {
	JSON_RECORD_OWN, /* unchanged */
	JSON_RECORD_SUM,
	JSON_RECORD_MOST, /* maximum; flags: or */
};

struct json_record_field {
	const char *name; /* key in JSON; NULL ends the table */
	size_t offset;
	enum json_record_kind kind;
	enum json_record_sum sum;
	int64_t min, max;         /* INT and UINT32; max 0: the type's maximum */
	size_t count_offset;      /* JSON_RECORD_TEXTS */
	const char *const *names; /* JSON_RECORD_COUNTS; NULL at the end */
	bool may_miss;            /* counts or a part: then its members are 0 */
	const struct json_record_field *part; /* JSON_RECORD_PART */
};

/* clang-format off */
#define JSON_RECORD_KIND(value)                                                        \
	_Generic((value),                                                              \
	    uint64_t: JSON_RECORD_COUNT,                                               \
	    double: JSON_RECORD_REAL,                                                  \
	    int: JSON_RECORD_INT,                                                      \
	    uint32_t: JSON_RECORD_UINT32,                                              \
	    bool: JSON_RECORD_FLAG,                                                    \
	    char *: JSON_RECORD_TEXT)
/* clang-format on */

/* A field whose kind follows from the type of the member; `key` is its name in JSON. */
#define JSON_RECORD_AS(key, type, member, how)                                         \
	{                                                                              \
		.name = (key), .offset = offsetof(type, member), .sum = (how),         \
		.kind = JSON_RECORD_KIND(((type *)0)->member)                          \
	}
#define JSON_RECORD(type, member, how) JSON_RECORD_AS(#member, type, member, how)

/* A field of a kind that does not follow from the type. */
#define JSON_RECORD_OF(type, member, how, which)                                       \
	{                                                                              \
		.name = #member, .offset = offsetof(type, member), .sum = (how),       \
		.kind = (which)                                                        \
	}

/* Pointer to the member, which has that type. */
#define JSON_RECORD_AT(field, record, type)                                            \
	((type *)(void *)((char *)(record) + (field)->offset))

/* A new reference, or NULL when out of memory. */
json_t *json_record_write(const struct json_record_field *fields, const void *record)
    __attribute__((warn_unused_result));

/* Returns value, or releases it and returns NULL if status is not 0. */
json_t *json_record_complete(json_t *value, int status)
    __attribute__((warn_unused_result));

/* Adds a value (owned) to an object or array, which becomes NULL when out of memory. */
void json_record_put(json_t **object, const char *key, json_t *value);
void json_record_append(json_t **array, json_t *value);

/* The JSON string of a JSON_RECORD_TEXT; invalid UTF-8 becomes "?". */
json_t *json_record_text(const char *text) __attribute__((warn_unused_result));

/* Reads every field, also after an error (json_reader.h), so that json_record_finish()
 * can always be called. `where` is the path of `from`, for errors. */
void json_record_read(const struct json_record_field *fields,
    struct json_reader *reader, const json_t *from, const char *where, void *record);

/* Adds each field as its `sum` says; a sum that overflows becomes UINT64_MAX. */
void json_record_add(
    const struct json_record_field *fields, void *to, const void *from);

/* True if json_record_read() accepts every number that json_record_write() writes. */
bool json_record_fits(const struct json_record_field *fields, const void *record);

/* Duplicates the texts in a copied struct, which has no JSON_RECORD_TEXTS. 0, or -1
 * with errno ENOMEM and NULL for the texts that could not be copied. */
int json_record_copy_texts(const struct json_record_field *fields, void *copy)
    __attribute__((warn_unused_result));

/* Frees the texts. */
void json_record_finish(const struct json_record_field *fields, void *record);

/* Compares one field: a text, number or flag. */
bool json_record_equals(
    const struct json_record_field *field, const void *record, const void *other);

#endif
