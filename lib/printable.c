#include "lib/printable.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* By length in bytes: mask and mark of the first byte, and the lowest code. */
static const struct {
	unsigned char mask, mark;
	uint32_t least;
} rows[] = {
	[1] = { 0x80, 0x00, 0x20 },
	[2] = { 0xe0, 0xc0, 0xa0 }, /* U+0080 to U+009F are control characters */
	[3] = { 0xf0, 0xe0, 0x800 },
	[4] = { 0xf8, 0xf0, 0x10000 },
};

static bool
is_shown(uint32_t code, size_t length)
{
	bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
	return code >= rows[length].least && code <= 0x10ffff && code != 0x7f &&
	    !is_surrogate;
}

size_t
printable_length(const char *text)
{
	const unsigned char *bytes = (const unsigned char *)text;
	for (size_t length = 1; length <= 4; length++) {
		if ((bytes[0] & rows[length].mask) != rows[length].mark)
			continue;
		uint32_t code = bytes[0] & (unsigned char)~rows[length].mask;
		for (size_t i = 1; i < length; i++) {
			if ((bytes[i] & 0xc0) != 0x80)
				return 0;
			code = code << 6 | (bytes[i] & 0x3f);
		}
		return is_shown(code, length) ? length : 0;
	}
	return 0;
}

char *
printable_sanitize(char *text)
{
	for (char *at = text; *at != '\0';) {
		size_t length = printable_length(at);
		if (length == 0)
			*at = '?';
		at += length == 0 ? 1 : length;
	}
	return text;
}

/* U+0080 to U+009F, two bytes of UTF-8, are one escape. */
static size_t
escaped_length(const char *text)
{
	return (unsigned char)text[0] == 0xc2 && (text[1] & 0xe0) == 0x80 ? 2 : 1;
}

/* Into out[7]; returns the length. */
static size_t
escape_byte(char byte, char *out)
{
	static const char bytes[] = "\b\t\n\f\r", letters[] = "btnfr";
	const char *at = memchr(bytes, byte, sizeof(bytes) - 1);
	if (at != NULL)
		return (size_t)sprintf(out, "\\%c", letters[at - bytes]);
	return (size_t)sprintf(out, "\\u%04x", (unsigned char)byte);
}

char *
printable_escape(const char *text, char *out, size_t out_size)
{
	size_t used = 0, fits = 0; /* fits: the last place where "..." fits */
	while (*text != '\0') {
		char escape[7];
		size_t length = printable_length(text);
		size_t taken = length > 0 ? length : escaped_length(text);
		const char *shown = length > 0 ? text : escape;
		if (length == 0)
			length = escape_byte(text[taken - 1], escape);
		if (used + length >= out_size) {
			memcpy(out + fits, "...", 4);
			return out;
		}
		memcpy(out + used, shown, length);
		used += length;
		text += taken;
		if (used + sizeof("...") <= out_size)
			fits = used;
	}
	out[used] = '\0';
	return out;
}

char *
printable_tail(const char *text, char *out, size_t out_size)
{
	static const char dots[] = "...";
	size_t length = strlen(text);
	if (length < out_size)
		return memcpy(out, text, length + 1);
	size_t kept = out_size - sizeof(dots);
	memcpy(out, dots, sizeof(dots) - 1);
	memcpy(out + sizeof(dots) - 1, text + length - kept, kept + 1);
	return out;
}
