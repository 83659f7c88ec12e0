/*
 * printable.h - text from outside, made fit for one line of a log, a terminal or JSON.
 */
#ifndef LIB_PRINTABLE_H
#define LIB_PRINTABLE_H

#include <stddef.h>

/* Bytes of the character that `text` begins with, if it is one of UTF-8 (RFC 3629) that
 * a terminal shows and does not obey; 0 for a control character, for what is no UTF-8,
 * and at the end of the text. */
size_t printable_length(const char *text);

/* Puts a '?' in the place of each byte that belongs to no such character. Returns text.
 */
char *printable_sanitize(char *text);

/* The same text with an escape of JSON in the place of each control character, and of
 * each byte that is no UTF-8, in at most out_size - 1 bytes and a NUL; what does not
 * fit ends in "...". Returns out; out_size is at least 4. */
char *printable_escape(const char *text, char *out, size_t out_size);

#define PRINTABLE_TAIL_MAX 192 /* bytes for a path in a line that says more */

/* The text, or "..." and the end of it that fits out_size - 1 bytes: of a path the part
 * that tells it from others. Returns out; out_size is at least 4. */
char *printable_tail(const char *text, char *out, size_t out_size);

#endif
