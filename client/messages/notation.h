/*
 * notation.h - bytes as the lines of a conversation file, yodel-conversation(5):
 *
 *     C: EHLO client.example          the line end of the file follows
 *     S: 220 hel\c                    no line end follows
 */
#ifndef CLIENT_MESSAGES_NOTATION_H
#define CLIENT_MESSAGES_NOTATION_H

#include <stddef.h>
#include <stdint.h>

#include "proto/conversation/conversation.h"

#define NOTATION_BYTES_MAX 512 /* of the text in one line */
#define NOTATION_LINE_MAX (4 * NOTATION_BYTES_MAX + 16)

/* Formats the first line of the bytes, without a newline, into out[NOTATION_LINE_MAX].
 * Returns how many of the bytes it has: up to a line end, or all, but not more than
 * NOTATION_BYTES_MAX. `length` is not 0. */
size_t notation_line(enum conversation_role speaker, enum conversation_ending ending,
    const uint8_t *data, size_t length, char *out);

#endif
