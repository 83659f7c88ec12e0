/*
 * json_load.h - JSON that is read whole or not at all, also where memory is short.
 *
 * Where its buffer for a string cannot grow, jansson (2.14) leaves characters out: what
 * it then returns is another text, an error of syntax, or, when the character after a
 * backslash is gone, the end of the process by an assertion. So nothing of it runs on
 * after an allocation has failed.
 */
#ifndef LIB_JSON_JSON_LOAD_H
#define LIB_JSON_JSON_LOAD_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

/* As json_loadb, json_loadf and json_string; NULL with errno: ENOMEM, or 0 when it is
 * no JSON (error, where it is not NULL), or no UTF-8. Not from two threads at once. */
json_t *json_load_text(
    const char *text, size_t length, size_t flags, json_error_t *error);
json_t *json_load_stream(FILE *file, size_t flags, json_error_t *error);
json_t *json_load_string(const char *text);

#endif
