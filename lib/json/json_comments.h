/*
 * json_comments.h - comments in JSON, and the position of a value in its text.
 *
 * Comments, outside strings, are `//` and `#` to the end of the line and slash-star
 * pairs. They are overwritten with spaces, so that offsets, lines and columns do not
 * change. The find functions take valid JSON; on other text they are safe and may find
 * nothing.
 */
#ifndef LIB_JSON_JSON_COMMENTS_H
#define LIB_JSON_JSON_COMMENTS_H

#include <stddef.h>

/* Also blanks a byte order mark at the start. 0, or -1 with *ret_at the offset of a
 * slash-star without an end. */
int json_comments_blank(char *text, size_t length, size_t *ret_at)
    __attribute__((warn_unused_result));

/* Offset of the first byte that cannot be a part of JSON: a NUL or another control
 * character than tab and line ends, or invalid UTF-8; `length` without one. */
size_t json_comments_find_binary(const char *text, size_t length);

/* Line and column of an offset, both from 1. A column is one UTF-8 character; a byte
 * order mark does not count. */
void json_comments_position(const char *text, size_t length, size_t offset,
    unsigned *ret_line, unsigned *ret_column);

/* Offsets of member `key` and its value in the object that starts at or after offset
 * `object`. 0, or -1 if the key is missing. */
int json_comments_find_key(const char *text, size_t length, size_t object,
    const char *key, size_t *ret_key, size_t *ret_value)
    __attribute__((warn_unused_result));

/* Offset of item `index`, from 0, of the list that starts at or after `list`. */
int json_comments_find_item(const char *text, size_t length, size_t list, size_t index,
    size_t *ret_value) __attribute__((warn_unused_result));

#endif
