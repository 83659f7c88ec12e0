#include "proto/reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/escape.h"

#define FOUND_LENGTH 80

static void
report_bad_escape(const char *escape, char *error, size_t error_size)
{
	enum { SHOWN = 7 };
	char found[FOUND_LENGTH];
	escape_encode(escape + 1, strnlen(escape + 1, SHOWN), found, sizeof(found));
	snprintf(error, error_size, "no such escape in reply text: \"\\%s\"", found);
}

/* Decodes `text` into the reply's own memory. */
static int
set_text(const char *text, struct reply *reply, char *error, size_t error_size)
{
	size_t length = strlen(text), at;
	if (length == 0)
		return 0;
	char *decoded = malloc(length);
	if (decoded == NULL) {
		snprintf(error, error_size, "out of memory");
		return -1;
	}
	long n = escape_decode(text, length, decoded, &at);
	if (n < 0)
		report_bad_escape(text + at, error, error_size);
	else if (n > REPLY_TEXT_MAX)
		snprintf(error, error_size,
		    "reply text of %ld bytes; at most %d were wanted", n,
		    REPLY_TEXT_MAX);
	if (n < 0 || n > REPLY_TEXT_MAX) {
		free(decoded);
		return -1;
	}
	reply->text = decoded;
	reply->text_length = (size_t)n;
	return 0;
}

/* The text after `word` when spec starts with it, else NULL. */
static const char *
skip_prefix(const char *spec, const char *word)
{
	size_t length = strlen(word);
	return strncmp(spec, word, length) == 0 ? spec + length : NULL;
}

static int
parse_bytewise(const char *spec, const char *rest, struct reply *reply, char *error,
    size_t error_size)
{
	if (*rest == '\0')
		return 0;
	const char *suffix = skip_prefix(rest, ",suffix=");
	if (suffix != NULL)
		return set_text(suffix, reply, error, error_size);
	char found[FOUND_LENGTH];
	snprintf(error, error_size,
	    "\"%s\" is no reply; after \"%.*s\" the end or \",suffix=TEXT\" was wanted",
	    escape_encode(spec, strlen(spec), found, sizeof(found)), (int)(rest - spec),
	    spec);
	return -1;
}

int
reply_parse(const char *spec, struct reply *ret, char *error, size_t error_size)
{
	struct reply reply = { .kind = REPLY_ECHO };
	const char *rest;
	int rc = 0;
	if ((rest = skip_prefix(spec, "echo")) != NULL) {
		rc = parse_bytewise(spec, rest, &reply, error, error_size);
	} else if ((rest = skip_prefix(spec, "upper")) != NULL) {
		reply.kind = REPLY_UPPER;
		rc = parse_bytewise(spec, rest, &reply, error, error_size);
	} else if ((rest = skip_prefix(spec, "fixed=")) != NULL) {
		reply.kind = REPLY_FIXED;
		rc = set_text(rest, &reply, error, error_size);
	} else if (strcmp(spec, "discard") == 0) {
		reply.kind = REPLY_DISCARD;
	} else {
		char found[FOUND_LENGTH];
		snprintf(error, error_size,
		    "\"%s\" is no reply; echo, upper, fixed=TEXT or discard was wanted",
		    escape_encode(spec, strlen(spec), found, sizeof(found)));
		rc = -1;
	}
	if (rc == 0)
		*ret = reply;
	return rc;
}

void
reply_finish(struct reply *reply)
{
	if (reply == NULL)
		return;
	free(reply->text);
	*reply = (struct reply){ .kind = REPLY_DISCARD };
}

size_t
reply_length(const struct reply *reply, size_t length)
{
	switch (reply->kind) {
	case REPLY_ECHO:
	case REPLY_UPPER:
		return length + reply->text_length;
	case REPLY_FIXED:
		return reply->text_length;
	case REPLY_DISCARD:
		break;
	}
	return 0;
}

size_t
reply_write(
    const struct reply *reply, const uint8_t *payload, size_t length, uint8_t *out)
{
	size_t at = 0;
	switch (reply->kind) {
	case REPLY_DISCARD:
		return 0;
	case REPLY_FIXED:
		break;
	case REPLY_ECHO:
		memmove(out, payload, length);
		at = length;
		break;
	case REPLY_UPPER:
		reply_to_upper(payload, length, out);
		at = length;
		break;
	}
	if (reply->text_length > 0)
		memcpy(out + at, reply->text, reply->text_length);
	return at + reply->text_length;
}

bool
reply_is_bytewise(const struct reply *reply)
{
	return (reply->kind == REPLY_ECHO || reply->kind == REPLY_UPPER) &&
	    reply->text_length == 0;
}

/* Moves 'a' to 'z' to the top of the signed numbers, where one comparison of whole
 * vectors tells them apart. */
enum { TO_TOP = INT8_MAX - 'z', BELOW_TOP = INT8_MAX - 26 };

typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef int8_t signed16 __attribute__((vector_size(16)));

/* `from` and `to` may be the same. */
static inline void
upper_short(const uint8_t *from, size_t length, uint8_t *to)
{
	size_t at = 0;
	for (; at + sizeof(bytes16) <= length; at += sizeof(bytes16)) {
		bytes16 bytes;
		memcpy(&bytes, from + at, sizeof(bytes));
		bytes16 is_lower = (bytes16)((signed16)(bytes + TO_TOP) > BELOW_TOP);
		bytes ^= is_lower & 0x20;
		memcpy(to + at, &bytes, sizeof(bytes));
	}
	for (; at < length; at++) {
		uint8_t is_lower = (uint8_t)(from[at] - 'a') < 26;
		to[at] = (uint8_t)(from[at] ^ (is_lower << 5));
	}
}

#ifdef __x86_64__
typedef uint8_t bytes32 __attribute__((vector_size(32)));
typedef int8_t signed32 __attribute__((vector_size(32)));

/* The same with vectors twice as long, which not every processor has; elsewhere the
 * compiler would make single bytes of them. */
__attribute__((target("avx2"))) static void
upper_long(const uint8_t *from, size_t length, uint8_t *to)
{
	size_t at = 0;
#pragma GCC unroll 4
	for (; at + sizeof(bytes32) <= length; at += sizeof(bytes32)) {
		bytes32 bytes;
		memcpy(&bytes, from + at, sizeof(bytes));
		bytes32 is_lower = (bytes32)((signed32)(bytes + TO_TOP) > BELOW_TOP);
		bytes ^= is_lower & 0x20;
		memcpy(to + at, &bytes, sizeof(bytes));
	}
	upper_short(from + at, length - at, to + at);
}
#endif

void
reply_to_upper(const uint8_t *from, size_t length, uint8_t *to)
{
#ifdef __x86_64__
	enum { LONG = 256 }; /* bytes; the look at the processor is worth it */
	if (length >= LONG && __builtin_cpu_supports("avx2")) {
		upper_long(from, length, to);
		return;
	}
#endif
	upper_short(from, length, to);
}
