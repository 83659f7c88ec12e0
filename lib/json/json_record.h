/*
 * json_record.h - structs as JSON objects, by a table of their members: what is
 * written, read, added up, copied and freed is said once for each member.
 *
 *   static const struct json_record_field fields[] = {
 *           RECORD(struct thing, sent, JSON_RECORD_SUM),
 *           RECORD(struct thing, hostname, JSON_RECORD_OWN),
 *           { .name = NULL },
 *   };
 *
 * The kind of a member follows from its type. Texts are on the heap and owned by the
 * struct.
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
	JSON_RECORD_COUNT_OR_NULL, /* uint64_t; UINT64_MAX is not known: null in JSON */
	JSON_RECORD_WORD,         /* uint64_t of any 64 bits: a signed number in JSON */
	JSON_RECORD_INT,          /* int, within its bounds */
	JSON_RECORD_UINT32,       /* uint32_t, within its bounds */
	JSON_RECORD_REAL,         /* double */
	JSON_RECORD_REAL_OR_NULL, /* double; NAN is not known: null in JSON */
	JSON_RECORD_FLAG,         /* bool */
	JSON_RECORD_TEXT,   /* char *; NULL is null in JSON, and null is read as "" */
	JSON_RECORD_TEXTS,  /* char **, and a size_t that counts them */
	JSON_RECORD_COUNTS, /* uint64_t[], one for each name */
	JSON_RECORD_PART,   /* a struct */
};

/* What two of them make. Of texts and parts: nothing, and what their members say. */
enum json_record_sum {
	JSON_RECORD_OWN, /* the first stays */
	JSON_RECORD_SUM,
	JSON_RECORD_MOST, /* of flags: true if one is */
};

struct json_record_field {
	const char *name; /* key in JSON; NULL ends the table */
	size_t offset;
	enum json_record_kind kind;
	enum json_record_sum sum;
	int64_t min, max;         /* of INT and UINT32; max 0: that of the type */
	bool optional;            /* JSON_RECORD_PART: may be missing */
	size_t count_offset;      /* JSON_RECORD_TEXTS */
	const char *const *names; /* JSON_RECORD_COUNTS; NULL at the end */
	const struct json_record_field
	    *part; /* JSON_RECORD_PART: offsets from the part's start */
};

/* A member under a name of its own; and one whose key is its name. */
#define JSON_RECORD_AS(key, type, member, how)                                           \
	{                                                                                \
		.name = (key), .offset = offsetof(type, member), .sum = (how),         \
		.kind = _Generic(((type *)0)->member, uint64_t                         \
				 : JSON_RECORD_COUNT, double                                \
				 : JSON_RECORD_REAL, int                                    \
				 : JSON_RECORD_INT, uint32_t                                \
				 : JSON_RECORD_UINT32, bool                                 \
				 : JSON_RECORD_FLAG, char *                                 \
				 : JSON_RECORD_TEXT) \
	}
#define JSON_RECORD(type, member, how) JSON_RECORD_AS(#member, type, member, how)

/* What `kind` says more than the type of the member. */
#define JSON_RECORD_OF(type, member, how, which)                                       \
	{                                                                              \
		.name = #member, .offset = offsetof(type, member), .sum = (how),       \
		.kind = (which)                                                        \
	}

/* Where a member is, as a pointer to what its kind says. */
#define JSON_RECORD_AT(field, record, type)                                            \
	((type *)(void *)((char *)(record) + (field)->offset))

/* A new reference, or NULL when out of memory. */
json_t *json_record_write(const struct json_record_field *fields, const void *record)
    __attribute__((warn_unused_result));

/* The value; NULL when it could not be made, or setting something in it failed
 * (status), and then it is given back. */
json_t *json_record_complete(json_t *value, int status)
    __attribute__((warn_unused_result));

/* Adds a value (owned) to an object or array, which becomes NULL when out of memory. */
void json_record_put(json_t **object, const char *key, json_t *value);
void json_record_append(json_t **array, json_t *value);

/* As JSON_RECORD_TEXT is written: what came from outside need not be UTF-8, and is "?".
 */
json_t *json_record_text(const char *text) __attribute__((warn_unused_result));

/* Reads every member, also after an error (json_reader.h), so that json_record_finish
 * may be called in any case. `where` is the path of `from`, for errors. */
void json_record_read(const struct json_record_field *fields,
    struct json_reader *reader, const json_t *from, const char *where, void *record);

/* Adds each member as its sum says. What 64 bits do not hold stays their highest value.
 */
void json_record_add(
    const struct json_record_field *fields, void *to, const void *from);

/* Whether json_record_read takes each number that json_record_write writes, as it is.
 */
bool json_record_fits(const struct json_record_field *fields, const void *record);

/* Gives the copy of a struct texts of its own (it has no JSON_RECORD_TEXTS). 0, or -1
 * with errno ENOMEM: what could not be copied is NULL. */
int json_record_copy_texts(const struct json_record_field *fields, void *copy)
    __attribute__((warn_unused_result));

/* Frees the texts. */
void json_record_finish(const struct json_record_field *fields, void *record);

/* Whether the two have the same value there; texts, numbers and flags alone. */
bool json_record_equals(
    const struct json_record_field *field, const void *record, const void *other);

#endif
