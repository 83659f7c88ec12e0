/*
 * witness_hex.h - bytes as hex digits and back.
 */
#ifndef PROTO_WITNESS_WITNESS_HEX_H
#define PROTO_WITNESS_WITNESS_HEX_H

#include <stddef.h>
#include <stdint.h>

/* Writes two lower-case digits for each byte and a NUL: 2 * length + 1 bytes. */
void witness_hex_encode(const uint8_t *bytes, size_t length, char *out);

/* Writes the bytes of text[length] to ret[length / 2]. Their number; 0, with ret in any
 * state, if the text is empty, of odd length or has another character than hex digits.
 */
size_t witness_hex_decode(const char *text, size_t length, uint8_t *ret);

#endif
