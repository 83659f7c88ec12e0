/* printable.h - untrusted bytes as safe text for a log line, a terminal or JSON. */
#ifndef LIB_PRINTABLE_H
#define LIB_PRINTABLE_H

#include <stddef.h>

/* Length in bytes of the first character if it is valid UTF-8 (RFC 3629) and no control
 * character; else 0, also at the end of the text. */
size_t printable_length(const char *text);

/* Replaces each other byte by '?'. Returns text. */
char *printable_sanitize(char *text);

/* Copies the text with JSON escapes instead of control characters and invalid bytes, at
 * most out_size - 1 bytes and a NUL; a text that is cut ends in "...". Returns out;
 * out_size is at least 4. */
char *printable_escape(const char *text, char *out, size_t out_size);

#define PRINTABLE_TAIL_MAX 192 /* for a path in an error line */

/* The text, or "..." and as much of its end as fits out_size - 1 bytes: the telling
 * part of a path. Returns out; out_size is at least 4. */
char *printable_tail(const char *text, char *out, size_t out_size);

#endif
