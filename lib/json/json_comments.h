/*
 * json_comments.h - JSON that people write: comments, and where a value stands.
 *
 * Comments are `//` and `#` to the end of the line and slash-star pairs, outside
 * strings. They are overwritten with spaces, so that every offset, line and column
 * stays what it was. The finders take text that a JSON parser has accepted; on any
 * other text they are safe and may find nothing.
 */
#ifndef LIB_JSON_JSON_COMMENTS_H
#define LIB_JSON_JSON_COMMENTS_H

#include <stddef.h>

/* Blanks the comments, and a byte order mark at the front. 0, or -1 with *ret_at the
 * offset of a slash-star that is never closed. */
int json_comments_blank(char *text, size_t length, size_t *ret_at)
    __attribute__((warn_unused_result));

/* Line and column, both from 1, of an offset; a column is one character of UTF-8; a
 * byte order mark is none. */
void json_comments_position(const char *text, size_t length, size_t offset,
    unsigned *ret_line, unsigned *ret_column);

/* The member `key` of the object that starts at or after offset `object`: offsets of
 * the key and of its value. 0, or -1 when there is none. */
int json_comments_find_key(const char *text, size_t length, size_t object,
    const char *key, size_t *ret_key, size_t *ret_value)
    __attribute__((warn_unused_result));

/* The item `index`, from 0, of the list that starts at or after offset `list`. */
int json_comments_find_item(const char *text, size_t length, size_t list, size_t index,
    size_t *ret_value) __attribute__((warn_unused_result));

#endif
