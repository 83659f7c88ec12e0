/*
 * message_escape.h - the text of a message with escapes (-e): C escapes as in
 * lib/escape.h, and names that stand for numbers:
 *
 *   \{connection}  index of the connection, from 0      \{message}  of the message
 *   \{pid}         process id of the generator process
 *
 * A text is parsed once into pieces and then written for each message.
 */
#ifndef CLIENT_MESSAGE_ESCAPE_H
#define CLIENT_MESSAGE_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESSAGE_ESCAPE_NUMBER_MAX 20 /* digits that a name can become */

enum message_piece_kind {
	MESSAGE_LITERAL,
	MESSAGE_CONNECTION,
	MESSAGE_INDEX,
	MESSAGE_PID,
};

struct message_piece {
	enum message_piece_kind kind;
	size_t from;   /* literal: where in `bytes` */
	size_t length; /* literal: how long */
};

struct message_text {
	uint8_t *bytes; /* decoded literals, one after the other; heap, owned */
	size_t length;
	struct message_piece *pieces; /* heap, owned */
	size_t count;
	bool varies; /* some piece is a number */
};

/* 0, or a status (sysexits.h: EX_USAGE, EX_OSERR) with one line in error. On 0 the
 * caller calls message_escape_finish. */
int message_escape_parse(const char *text, size_t length, struct message_text *ret,
    char *error, size_t error_size) __attribute__((warn_unused_result));
void message_escape_finish(struct message_text *text);

/* Bytes of the text for this message. */
size_t message_escape_length(
    const struct message_text *text, uint64_t connection, uint64_t message);

/* Writes them; out has room for message_escape_length bytes. */
size_t message_escape_write(const struct message_text *text, uint64_t connection,
    uint64_t message, uint8_t *out);

/* The most bytes that any message of this text can have. */
size_t message_escape_longest(const struct message_text *text);

#endif
