/*
 * record.h - structs as JSON objects, by a table of their members: what is written,
 * read, added up, copied and freed is said once for each member.
 *
 *   static const struct record_field fields[] = {
 *           RECORD(struct thing, sent, RECORD_SUM),
 *           RECORD(struct thing, hostname, RECORD_OWN),
 *           { .name = NULL },
 *   };
 *
 * The kind of a member follows from its type. Texts are on the heap and owned by the
 * struct.
 */
#ifndef CLIENT_RECORD_H
#define CLIENT_RECORD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/json_reader.h"

enum record_kind {
	RECORD_COUNT,  /* uint64_t */
	RECORD_KNOWN,  /* uint64_t; UINT64_MAX is not known: null in JSON */
	RECORD_WORD,   /* uint64_t of any 64 bits: a signed number in JSON */
	RECORD_REAL,   /* double */
	RECORD_MAYBE,  /* double; NAN is not known: null in JSON */
	RECORD_FLAG,   /* bool */
	RECORD_TEXT,   /* char *; NULL is null in JSON, and null is read as "" */
	RECORD_TEXTS,  /* char **, and a size_t that counts them */
	RECORD_COUNTS, /* uint64_t[], one for each name */
	RECORD_PART,   /* a struct */
};

/* What two of them make. Of texts and parts: nothing, and what their members say. */
enum record_sum {
	RECORD_OWN, /* the first stays */
	RECORD_SUM,
	RECORD_MOST, /* of flags: true if one is */
};

struct record_field {
	const char *name; /* key in JSON; NULL ends the table */
	size_t offset;
	enum record_kind kind;
	enum record_sum sum;
	bool optional;            /* RECORD_PART: may be missing */
	size_t count_offset;      /* RECORD_TEXTS */
	const char *const *names; /* RECORD_COUNTS; NULL at the end */
	const struct record_field
	    *part; /* RECORD_PART: offsets from the part's start */
};

/* A member under a name of its own; and one whose key is its name. */
#define RECORD_AS(key, type, member, how)                                                \
	{                                                                                \
		.name = (key), .offset = offsetof(type, member), .sum = (how),         \
		.kind = _Generic(((type *)0)->member, uint64_t                         \
				 : RECORD_COUNT, double                                \
				 : RECORD_REAL, bool                                   \
				 : RECORD_FLAG, char *                                 \
				 : RECORD_TEXT) \
	}
#define RECORD(type, member, how) RECORD_AS(#member, type, member, how)

/* What `kind` says more than the type of the member. */
#define RECORD_OF(type, member, how, which)                                            \
	{                                                                              \
		.name = #member, .offset = offsetof(type, member), .sum = (how),       \
		.kind = (which)                                                        \
	}

/* Where a member is, as a pointer to what its kind says. */
#define RECORD_AT(field, record, type)                                                 \
	((type *)(void *)((char *)(record) + (field)->offset))

/* A new reference, or NULL when out of memory. */
json_t *record_write(const struct record_field *fields, const void *record)
    __attribute__((warn_unused_result));

/* The value; NULL when it could not be made, or setting something in it failed
 * (status), and then it is given back. */
json_t *record_whole(json_t *value, int status) __attribute__((warn_unused_result));

/* As RECORD_TEXT is written: what came from outside need not be UTF-8, and is "?". */
json_t *record_text(const char *text) __attribute__((warn_unused_result));

/* Reads every member, also after an error (json_reader.h), so that record_finish may be
 * called in any case. `where` is the path of `from`, for errors. */
void record_read(const struct record_field *fields, struct json_reader *reader,
    const json_t *from, const char *where, void *record);

/* Adds each member as its sum says. What 64 bits do not hold stays their highest value.
 */
void record_add(const struct record_field *fields, void *to, const void *from);

/* Whether record_read takes each number that record_write writes, as it is. */
bool record_fits(const struct record_field *fields, const void *record);

/* Gives the copy of a struct texts of its own (it has no RECORD_TEXTS). 0, or -1 with
 * errno ENOMEM: what could not be copied is NULL. */
int record_own(const struct record_field *fields, void *copy)
    __attribute__((warn_unused_result));

/* Frees the texts. */
void record_finish(const struct record_field *fields, void *record);

/* Whether the two have the same value there; texts, numbers and flags alone. */
bool record_same(
    const struct record_field *field, const void *record, const void *other);

#endif
