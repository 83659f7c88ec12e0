/*
 * reply.h - what a server answers to a message: one grammar for the configuration of
 * yodeld and for yodel --expect.
 *
 *   reply  = kind [ "," "suffix=" text ]      kind = "echo" | "upper"
 *          | "fixed=" text
 *          | "discard"
 *   text   = the rest of the line, escapes as in JSON (lib/escape.h)
 *
 * A reply works on the payload of a message (proto/framing.h): the framing of the
 * message is put around the reply by framing_*, so a line is answered by a line.
 */
#ifndef PROTO_REPLY_H
#define PROTO_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPLY_TEXT_MAX 4096 /* bytes of a suffix or of a fixed answer, decoded */

enum reply_kind { REPLY_ECHO, REPLY_UPPER, REPLY_FIXED, REPLY_DISCARD };

struct reply {
	enum reply_kind kind;
	size_t text_length; /* echo, upper: the suffix; fixed: the answer */
	char *text;         /* heap, owned; NULL when text_length is 0 */
};

/* 0, or -1 with one line in error (what was found, what was wanted). *ret untouched
 * then; else the caller calls reply_finish. */
int reply_parse(const char *spec, struct reply *ret, char *error, size_t error_size)
    __attribute__((warn_unused_result));
void reply_finish(struct reply *reply);

/* Bytes of the reply to a payload of `length` bytes. */
size_t reply_length(const struct reply *reply, size_t length);

/* Writes the reply to payload[length] into out, which has room for reply_length bytes
 * and may be `payload` itself. Returns the bytes written. */
size_t reply_write(
    const struct reply *reply, const uint8_t *payload, size_t length, uint8_t *out);

/* True when the reply depends on each byte alone (echo and upper with no suffix), so
 * that where a stream is cut makes no difference. */
bool reply_is_bytewise(const struct reply *reply);

/* ASCII letters raised, in place or from one place to another; other bytes as they are.
 */
void reply_to_upper(const uint8_t *from, size_t length, uint8_t *to);

#endif
