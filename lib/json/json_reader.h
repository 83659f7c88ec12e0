/*
 * json_reader.h - reads members of JSON objects and keeps the first error.
 *
 * A missing member is 0, "" or false, or an error if requires_all is set. A member of
 * another type is an error that names its path ("messages.sent: expected a whole
 * number"). Reading continues after an error, so that the caller tests `failed` once.
 * `from` may be NULL: every member is missing.
 */
#ifndef LIB_JSON_JSON_READER_H
#define LIB_JSON_JSON_READER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_READER_MAX 1e18
#define JSON_READER_MIN 1e-12 /* less is read as 0, so that quotients stay finite */

struct json_reader {
	char *error; /* one line in error[error_size] */
	size_t error_size;
	bool failed;
	bool out_of_memory; /* why it failed, at the first error or later */
	bool requires_all;  /* a missing member is an error */
};

/* Records an error, unless there is one already. */
void json_reader_fail(
    struct json_reader *reader, const char *where, const char *key, const char *what);

/* Records that memory is exhausted: the document may be valid. */
void json_reader_fail_memory(
    struct json_reader *reader, const char *where, const char *key);

/* A required array or object; NULL after an error. */
json_t *json_reader_member(struct json_reader *reader, const json_t *from,
    const char *where, const char *key, json_type type);

/* A whole number from 0 on; json_reader_word() casts a negative one. */
uint64_t json_reader_count(
    struct json_reader *reader, const json_t *from, const char *where, const char *key);
uint64_t json_reader_word(
    struct json_reader *reader, const json_t *from, const char *where, const char *key);
/* From 0 to JSON_READER_MAX. */
double json_reader_real(
    struct json_reader *reader, const json_t *from, const char *where, const char *key);
/* null is NAN. */
double json_reader_real_or_null(
    struct json_reader *reader, const json_t *from, const char *where, const char *key);
bool json_reader_flag(
    struct json_reader *reader, const json_t *from, const char *where, const char *key);

/* Heap, owned by the caller; NULL when out of memory; null is "". Files are untrusted:
 * the text has passed printable_sanitize(). */
char *json_reader_text(
    struct json_reader *reader, const json_t *from, const char *where, const char *key);

/* Zeroed memory, owned by the caller, for the array's number of elements of `size`
 * bytes; NULL for an empty array and after an error. */
void *json_reader_room(
    struct json_reader *reader, const json_t *array, const char *key, size_t size);

#endif
