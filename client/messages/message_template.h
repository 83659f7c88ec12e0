/*
 * message_template.h - a message with escapes (-e): C escapes as in lib/escape.h, and
 * placeholders for numbers:
 *
 *   \{connection}  index of the connection, from 0      \{message}  of the message
 *   \{pid}         process id of the load process
 *
 * A text is parsed once into pieces and then written for each message.
 */
#ifndef CLIENT_MESSAGES_MESSAGE_TEMPLATE_H
#define CLIENT_MESSAGES_MESSAGE_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESSAGE_TEMPLATE_NUMBER_MAX 20 /* digits of a number */

enum message_template_piece_kind {
	MESSAGE_TEMPLATE_LITERAL,
	MESSAGE_TEMPLATE_CONNECTION,
	MESSAGE_TEMPLATE_INDEX,
	MESSAGE_TEMPLATE_PID,
};

struct message_template_piece {
	enum message_template_piece_kind kind;
	size_t from;   /* literal: offset in `bytes` */
	size_t length; /* literal */
};

struct message_template {
	uint8_t *bytes; /* decoded literals, one after the other; heap, owned */
	size_t length;
	struct message_template_piece *pieces; /* heap, owned */
	size_t count;
	bool varies; /* has a placeholder */
};

/* 0, or EX_USAGE with one line in error. On 0 the caller calls message_template_finish.
 */
int message_template_parse(const char *text, size_t length,
    struct message_template *ret, char *error, size_t error_size)
    __attribute__((warn_unused_result));
void message_template_finish(struct message_template *text);

/* Bytes of this message. */
size_t message_template_length(
    const struct message_template *text, uint64_t connection, uint64_t message);

/* Writes the message; out has room for message_template_length bytes. */
size_t message_template_write(const struct message_template *text, uint64_t connection,
    uint64_t message, uint8_t *out);

/* The most bytes that any message of this text can have. */
size_t message_template_longest(const struct message_template *text);

#endif
