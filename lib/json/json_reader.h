/*
 * json_reader.h - members of JSON objects, one line of error for the first that is
 * wrong.
 *
 * A member that is not there is 0, "" or false, or an error where all are required; one
 * of another kind is an error that names its path ("messages.sent: expected a whole
 * number"). Reading goes on after an error, so that a caller looks at `failed` once.
 * `from` may be NULL: nothing is there.
 */
#ifndef LIB_JSON_JSON_READER_H
#define LIB_JSON_JSON_READER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_READER_MAX 1e18
#define JSON_READER_MIN 1e-12 /* what is smaller is 0: quotients stay finite */

struct json_reader {
	char *error; /* one line in error[error_size] */
	size_t error_size;
	bool failed;
	bool requires_all; /* a missing member is an error */
};

/* Keeps the first error alone. */
void json_reader_fail(
    struct json_reader *reader, const char *where, const char *key, const char *what);

/* An array or object that must be there; NULL after an error. */
json_t *json_reader_member(struct json_reader *reader, const json_t *from,
    const char *where, const char *key, json_type type);

/* A whole number of at least 0; word takes the bits of a negative one. */
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

/* Heap, owned by the caller; NULL after an error of memory. null is "". What a terminal
 * would obey is a '?' (lib/printable.h): a file may come from anybody. */
char *json_reader_text(
    struct json_reader *reader, const json_t *from, const char *where, const char *key);

/* Zeroed memory, owned by the caller, for as many elements of `size` bytes as the array
 * has; NULL for none and after an error. */
void *json_reader_room(
    struct json_reader *reader, const json_t *array, const char *key, size_t size);

#endif
