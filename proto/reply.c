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
	snprintf(
	    error, error_size, "unknown escape in the reply text: \"\\%s\"", found);
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
		    "found a reply text of %ld bytes, expected at most %d", n,
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

const struct reply_ops reply_kinds[] = {
#define X(id, word, uses, function, text_use, help)                                    \
	{ .name = #word,                                                               \
		.uses_payload = uses,                                                  \
		.transform = function,                                                 \
		.text = REPLY_TAKES_##text_use },
	SERVER_REPLY_KINDS(X, )
#undef X
};

/* The text in what follows the name of a kind ("" if it may be left out), or NULL if
 * that does not follow the kind's grammar. */
static const char *
find_text(enum reply_text takes, const char *rest)
{
	if (takes == REPLY_TAKES_VALUE)
		return skip_prefix(rest, "=");
	if (takes == REPLY_TAKES_FILE)
		return rest[0] == '=' && rest[1] != '\0' ? rest + 1 : NULL;
	if (*rest == '\0')
		return rest;
	return takes == REPLY_TAKES_SUFFIX ? skip_prefix(rest, ",suffix=") : NULL;
}

/* Parses one of the first `kinds` rows; `syntax` describes them. */
static int
parse(const char *spec, int kinds, const char *syntax, struct reply *ret, char *error,
    size_t error_size)
{
	char found[FOUND_LENGTH];
	for (int i = 0; i < kinds; i++) {
		const char *rest = skip_prefix(spec, reply_kinds[i].name);
		const char *text =
		    rest == NULL ? NULL : find_text(reply_kinds[i].text, rest);
		if (text == NULL)
			continue;
		struct reply reply = { .kind = (enum reply_kind)i };
		if (set_text(text, &reply, error, error_size) < 0)
			return -1;
		*ret = reply;
		return 0;
	}
	snprintf(error, error_size, "found \"%s\", expected one of %s",
	    escape_encode(spec, strlen(spec), found, sizeof(found)), syntax);
	return -1;
}

int
reply_parse(const char *spec, struct reply *ret, char *error, size_t error_size)
{
	return parse(spec, REPLY_CONVERSATION, REPLY_SYNTAX, ret, error, error_size);
}

int
reply_parse_server(const char *spec, struct reply *ret, char *error, size_t error_size)
{
	return parse(
	    spec, REPLY_KIND_COUNT, SERVER_REPLY_SYNTAX, ret, error, error_size);
}

void
reply_finish(struct reply *reply)
{
	if (reply == NULL)
		return;
	free(reply->text);
	*reply = (struct reply){ .kind = REPLY_DISCARD };
}

uint64_t
reply_fingerprint(const struct reply *reply)
{
	const uint64_t prime = UINT64_C(0x100000001b3);
	if (reply->kind == REPLY_CONVERSATION)
		return reply->conversation_digest;
	uint64_t hash = (UINT64_C(0xcbf29ce484222325) ^ (uint64_t)reply->kind) * prime;
	for (size_t i = 0; i < reply->text_length; i++)
		hash = (hash ^ (uint8_t)reply->text[i]) * prime;
	return hash;
}

size_t
reply_length(const struct reply *reply, size_t length)
{
	return (reply_kinds[reply->kind].uses_payload ? length : 0) +
	    reply->text_length;
}

size_t
reply_write(
    const struct reply *reply, const uint8_t *payload, size_t length, uint8_t *out)
{
	const struct reply_ops *ops = &reply_kinds[reply->kind];
	size_t at = ops->uses_payload ? length : 0;
	if (ops->transform != NULL)
		ops->transform(payload, at, out);
	else
		memmove(out, payload, at);
	if (reply->text_length > 0)
		memcpy(out + at, reply->text, reply->text_length);
	return at + reply->text_length;
}

/* Adding TO_TOP moves 'a' to 'z' to the top of the signed numbers, where one comparison
 * of a whole vector finds them. */
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

/* AVX2 has vectors of twice the length. Without AVX2 the compiler would emit code for
 * single bytes. */
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
	enum { LONG = 256 }; /* bytes from which the test for AVX2 pays */
	if (length >= LONG && __builtin_cpu_supports("avx2")) {
		upper_long(from, length, to);
		return;
	}
#endif
	upper_short(from, length, to);
}
