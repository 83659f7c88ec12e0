/*
 * escape.h - C and JSON escapes in text: \n \t \r \0 \a \b \f \v \e \\ \" \/ \xHH
 * \uXXXX (surrogate pairs joined, written as UTF-8) and octal \NNN.
 */
#ifndef LIB_ESCAPE_H
#define LIB_ESCAPE_H

#include <stddef.h>

/* Decodes `length` bytes of text into `out`, which has room for `length` bytes (a
 * decoded text is never longer) and may be `text` itself. Returns the decoded length,
 * or -1 with *ret_at the offset of the invalid escape. */
long escape_decode(const char *text, size_t length, char *out, size_t *ret_at)
    __attribute__((warn_unused_result));

/* Writes bytes as printable text that decodes to them: at most out_size - 1 characters
 * and a NUL; a text that is cut ends in "...". Returns out. */
char *escape_encode(const void *data, size_t length, char *out, size_t out_size);

/* Value of a hexadecimal digit of any case; -1 if it is none. */
int escape_hex_digit(char c);

#endif
