/*
 * json_whole.h - JSON that is read whole or not at all, also where memory is short:
 * jansson then leaves characters out of a string whose buffer cannot grow, or says that
 * the text is none.
 */
#ifndef LIB_JSON_WHOLE_H
#define LIB_JSON_WHOLE_H

#include <jansson.h>
#include <stddef.h>

/* As json_loadb and json_string; NULL with errno: ENOMEM, or 0 when it is no JSON
 * (error, where it is not NULL), or no UTF-8. */
json_t *json_whole_load(
    const char *text, size_t length, size_t flags, json_error_t *error);
json_t *json_whole_string(const char *text);

#endif
