#include "client/messages/message_template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/escape.h"
#include "lib/xmalloc.h"

static const struct {
	const char *name;
	enum message_template_piece_kind kind;
} names[] = {
	{ "connection", MESSAGE_TEMPLATE_CONNECTION },
	{ "message", MESSAGE_TEMPLATE_INDEX },
	{ "pid", MESSAGE_TEMPLATE_PID },
};
#define NAME_COUNT (sizeof(names) / sizeof(names[0]))

/* Position of the next "\{" at or after `from`, or `length`. A backslash that is itself
 * escaped does not start a name. */
static size_t
find_name(const char *text, size_t length, size_t from)
{
	for (size_t i = from; i + 1 < length; i++) {
		if (text[i] != '\\')
			continue;
		if (text[i + 1] == '{')
			return i;
		i++;
	}
	return length;
}

static void
add_piece(struct message_template *out, enum message_template_piece_kind kind,
    size_t from, size_t n)
{
	if (kind == MESSAGE_TEMPLATE_LITERAL && n == 0)
		return;
	out->pieces[out->count++] =
	    (struct message_template_piece){ .kind = kind, .from = from, .length = n };
	out->varies |= kind != MESSAGE_TEMPLATE_LITERAL;
}

static int
add_literal(struct message_template *out, const char *text, size_t length, char *error,
    size_t error_size)
{
	size_t at;
	long n = escape_decode(text, length, (char *)out->bytes + out->length, &at);
	if (n < 0) {
		snprintf(error, error_size, "unknown escape in the message: \"%.*s\"",
		    (int)(length - at < 6 ? length - at : 6), text + at);
		return -1;
	}
	add_piece(out, MESSAGE_TEMPLATE_LITERAL, out->length, (size_t)n);
	out->length += (size_t)n;
	return 0;
}

/* Adds the name at text, which starts with "\{". Returns its length, or 0 with an
 * error. */
static size_t
add_name(struct message_template *out, const char *text, size_t length, char *error,
    size_t error_size)
{
	for (size_t i = 0; i < NAME_COUNT; i++) {
		size_t n = strlen(names[i].name);
		if (length < n + 3 || memcmp(text + 2, names[i].name, n) != 0 ||
		    text[n + 2] != '}')
			continue;
		add_piece(out, names[i].kind, 0, 0);
		return n + 3;
	}
	snprintf(error, error_size,
	    "unknown placeholder \"%.*s\" in a message; expected \\{connection}, \\{message} or \\{pid}",
	    (int)(length < 16 ? length : 16), text);
	return 0;
}

int
message_template_parse(const char *text, size_t length, struct message_template *ret,
    char *error, size_t error_size)
{
	/* A name has at least three bytes and may have a literal on both sides. */
	struct message_template out = {
		.bytes = xmalloc(length + 1),
		.pieces = xcalloc(
		    2 * (length / 3) + 2, sizeof(struct message_template_piece)),
	};
	size_t at = 0;
	while (at < length) {
		size_t name = find_name(text, length, at);
		if (add_literal(&out, text + at, name - at, error, error_size) < 0)
			goto fail;
		at = name;
		if (name == length)
			break;
		size_t taken =
		    add_name(&out, text + name, length - name, error, error_size);
		if (taken == 0)
			goto fail;
		at += taken;
	}
	*ret = out;
	return 0;
fail:
	message_template_finish(&out);
	return EX_USAGE;
}

void
message_template_finish(struct message_template *text)
{
	free(text->bytes);
	free(text->pieces);
	*text = (struct message_template){ .bytes = NULL };
}

static uint64_t
piece_number(
    enum message_template_piece_kind kind, uint64_t connection, uint64_t message)
{
	if (kind == MESSAGE_TEMPLATE_PID)
		return (uint64_t)getpid();
	return kind == MESSAGE_TEMPLATE_INDEX ? message : connection;
}

static size_t
write_number(uint64_t number, uint8_t *out)
{
	uint8_t digits[MESSAGE_TEMPLATE_NUMBER_MAX];
	size_t n = 0;
	do
		digits[n++] = (uint8_t)('0' + number % 10);
	while ((number /= 10) > 0);
	for (size_t i = 0; i < n; i++)
		out[i] = digits[n - 1 - i];
	return n;
}

size_t
message_template_length(
    const struct message_template *text, uint64_t connection, uint64_t message)
{
	uint8_t digits[MESSAGE_TEMPLATE_NUMBER_MAX];
	size_t sum = text->length;
	for (size_t i = 0; i < text->count && text->varies; i++) {
		enum message_template_piece_kind kind = text->pieces[i].kind;
		if (kind != MESSAGE_TEMPLATE_LITERAL)
			sum += write_number(
			    piece_number(kind, connection, message), digits);
	}
	return sum;
}

size_t
message_template_write(const struct message_template *text, uint64_t connection,
    uint64_t message, uint8_t *out)
{
	size_t at = 0;
	for (size_t i = 0; i < text->count; i++) {
		const struct message_template_piece *piece = &text->pieces[i];
		if (piece->kind == MESSAGE_TEMPLATE_LITERAL) {
			memcpy(out + at, text->bytes + piece->from, piece->length);
			at += piece->length;
		} else {
			at += write_number(
			    piece_number(piece->kind, connection, message), out + at);
		}
	}
	return at;
}

size_t
message_template_longest(const struct message_template *text)
{
	size_t sum = text->length;
	for (size_t i = 0; i < text->count; i++)
		if (text->pieces[i].kind != MESSAGE_TEMPLATE_LITERAL)
			sum += MESSAGE_TEMPLATE_NUMBER_MAX;
	return sum;
}
