/*
 * reply.h - the reply to a message: one row for each kind, one grammar for the
 * configuration of yodeld and for yodel --expect.
 *
 *   reply  = kind [ "," "suffix=" text ]      kind = "echo" | "upper"
 *          | "fixed=" text
 *          | "discard" | "whoami"
 *          | "conversation=" file             yodeld only: the file's S side is played
 *          | "witness"                        yodeld only: proto/witness/witness.h
 *   text   = the rest of the line, escapes as in JSON (lib/escape.h)
 *
 * The bytes of a reply are the payload of the message, perhaps transformed, if the kind
 * uses it, and then the text. The framing of the message is put around them
 * (proto/framing.h).
 */
#ifndef PROTO_REPLY_H
#define PROTO_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPLY_TEXT_MAX 4096 /* bytes of a suffix or of a fixed reply, decoded */

/* Writes the bytes from[length] changed to `to`, which may be `from`. It depends on
 * each byte alone, so that any piece of a reply can be made by itself. */
typedef void (*reply_transform_fn)(const uint8_t *from, size_t length, uint8_t *to);

/* X(identifier, name, uses the payload, transform, text that follows the name, help).
 * BETWEEN stands between two rows: the separator of a literal made from all rows. */
#define REPLY_KINDS(X, BETWEEN)                                                        \
	X(ECHO, echo, true, NULL, SUFFIX, "the message itself")                        \
	BETWEEN X(UPPER, upper, true, reply_to_upper, SUFFIX,                          \
	    "the message in upper case (ASCII)") BETWEEN                               \
	X(FIXED, fixed, false, NULL, VALUE, "TEXT") BETWEEN                            \
	X(DISCARD, discard, false, NULL, NOTHING, "no reply") BETWEEN                  \
	X(WHOAMI, whoami, false, NULL, NOTHING,                                        \
	    "a line of JSON that tells what the server sees of the connection")

/* The kinds of yodeld: those of a message, and those that take the whole stream. */
#define SERVER_REPLY_KINDS(X, BETWEEN)                                                                                    \
	REPLY_KINDS(X, BETWEEN)                                                                                           \
	BETWEEN X(WITNESS, witness, false, NULL, NOTHING,                                                                 \
	    "greets with a line of JSON, then takes commands of yodel survey, see What a witness does in yodeld.json(5)") \
	    BETWEEN                                                                                                       \
	    X(CONVERSATION, conversation, false, NULL, FILE,                                                              \
		"the part of the server in the conversation that FILE describes, see yodel-conversation(5); relative to this file")

enum reply_kind {
#define X(id, ...) REPLY_##id,
	SERVER_REPLY_KINDS(X, )
#undef X
	    REPLY_KIND_COUNT
};

/* The text after the name of a kind: how it is written, and as a regular expression. */
enum reply_text {
	REPLY_TAKES_SUFFIX,
	REPLY_TAKES_VALUE,
	REPLY_TAKES_NOTHING,
	REPLY_TAKES_FILE,
};
#define REPLY_SYNTAX_SUFFIX "[,suffix=TEXT]"
#define REPLY_SYNTAX_VALUE "=TEXT"
#define REPLY_SYNTAX_NOTHING ""
#define REPLY_SYNTAX_FILE "=FILE"
#define REPLY_PATTERN_SUFFIX "(,suffix=|$)"
#define REPLY_PATTERN_VALUE "="
#define REPLY_PATTERN_NOTHING "$"
#define REPLY_PATTERN_FILE "=."

struct reply_ops {
	const char *name;
	bool uses_payload;            /* the payload is a part of the reply */
	reply_transform_fn transform; /* NULL: unchanged */
	enum reply_text text;
};
extern const struct reply_ops reply_kinds[]; /* by enum reply_kind */

/* Literals made from all rows: "echo[,suffix=TEXT], ...", " echo[,suffix=TEXT]: the
 * message itself. ...", and a regular expression of a reply. */
#define REPLY_SYNTAX_(id, name, uses, transform, text, help) #name REPLY_SYNTAX_##text
#define REPLY_SYNTAX REPLY_KINDS(REPLY_SYNTAX_, ", ")
#define SERVER_REPLY_SYNTAX SERVER_REPLY_KINDS(REPLY_SYNTAX_, ", ")
#define REPLY_HELP_(id, name, uses, transform, text, help)                             \
	" " #name REPLY_SYNTAX_##text ": " help "."
#define SERVER_REPLY_HELP SERVER_REPLY_KINDS(REPLY_HELP_, )
#define REPLY_PATTERN_(id, name, uses, transform, text, help)                          \
	"^" #name REPLY_PATTERN_##text
#define SERVER_REPLY_PATTERN SERVER_REPLY_KINDS(REPLY_PATTERN_, "|")

struct reply {
	enum reply_kind kind;
	size_t text_length; /* of the suffix, the fixed reply or the name of the file */
	char *text;         /* heap, owned; NULL when text_length is 0 */
	uint64_t conversation_digest; /* of the file, once it is compiled; 0 before */
};

/* Parses one of REPLY_KINDS. 0, or -1 with one line in error (what was found, what was
 * expected) and *ret untouched. On 0 the caller calls reply_finish. */
int reply_parse(const char *spec, struct reply *ret, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* As reply_parse(), one of SERVER_REPLY_KINDS; opens no file. */
int reply_parse_server(const char *spec, struct reply *ret, char *error,
    size_t error_size) __attribute__((warn_unused_result));
void reply_finish(struct reply *reply);

/* Equal for equal replies, and different for others but by chance (64-bit FNV-1a). */
uint64_t reply_fingerprint(const struct reply *reply);

/* Bytes of the reply to a payload of `length` bytes; not for REPLY_WHOAMI, which does
 * not depend on the message (whoami.h). */
size_t reply_length(const struct reply *reply, size_t length);

/* Writes the reply to payload[length] into out, which has room for reply_length bytes
 * and may be `payload` itself. Returns the bytes written. */
size_t reply_write(
    const struct reply *reply, const uint8_t *payload, size_t length, uint8_t *out);

/* Makes any piece of a payload the same piece of the reply, in place. */
static inline void
reply_transform(enum reply_kind kind, uint8_t *data, size_t length)
{
	if (reply_kinds[kind].transform != NULL)
		reply_kinds[kind].transform(data, length, data);
}

/* True if nothing is sent for a message, not even a frame. */
static inline bool
reply_is_silent(const struct reply *reply)
{
	return reply->kind == REPLY_DISCARD;
}

/* True if the reply has no bytes, whatever the message. */
static inline bool
reply_is_empty(const struct reply *reply)
{
	return !reply_kinds[reply->kind].uses_payload && reply->text_length == 0 &&
	    reply->kind != REPLY_WHOAMI && reply->kind != REPLY_WITNESS;
}

/* True when the reply depends on each byte alone (echo and upper with no suffix), so
 * that where a stream is cut makes no difference. */
static inline bool
reply_is_bytewise(const struct reply *reply)
{
	return reply_kinds[reply->kind].uses_payload && reply->text_length == 0;
}

/* Copies the bytes with ASCII letters in upper case; `to` may be `from`. */
void reply_to_upper(const uint8_t *from, size_t length, uint8_t *to);

#endif
