/*
 * json_load.h - parses JSON correctly when out of memory.
 *
 * If its buffer for a string cannot grow, jansson 2.14 drops characters: it returns
 * another text or a syntax error, or fails an assertion if the character after a
 * backslash is missing. So parsing stops at the first failed allocation.
 */
#ifndef LIB_JSON_JSON_LOAD_H
#define LIB_JSON_JSON_LOAD_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

/* As json_loadb(), json_loadf() and json_string(). NULL with errno ENOMEM, or 0 for
 * invalid JSON (see *error, if given) or UTF-8. Not thread-safe. */
json_t *json_load_text(
    const char *text, size_t length, size_t flags, json_error_t *error);
json_t *json_load_stream(FILE *file, size_t flags, json_error_t *error);
json_t *json_load_string(const char *text);

#endif
