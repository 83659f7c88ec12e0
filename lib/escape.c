#include "lib/escape.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const char letters[] = "abfnrtve\\\"/";
static const char meanings[] = "\a\b\f\n\r\t\v\033\\\"/";

int
escape_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Exactly `digits` hexadecimal digits of text[length], or -1. */
static long
decode_hex(const char *text, size_t length, size_t digits)
{
	long value = 0;
	if (length < digits)
		return -1;
	for (size_t i = 0; i < digits; i++) {
		int digit = escape_hex_digit(text[i]);
		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

static size_t
put_utf8(uint32_t code, char *out)
{
	static const unsigned char marks[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	for (size_t i = length; i-- > 1; code >>= 6)
		out[i] = (char)(0x80 | (code & 0x3f));
	out[0] = (char)(marks[length] | code);
	return length;
}

/* The decoders get the text after the backslash. They append to *out and return the
 * number of characters read, 0 for an invalid escape. */
static size_t
decode_unicode(const char *text, size_t length, char **out)
{
	long code = decode_hex(text + 1, length - 1, 4);
	size_t taken = 5;
	if (code < 0 || (code >= 0xdc00 && code <= 0xdfff))
		return 0;
	if (code >= 0xd800 && code <= 0xdbff) {
		if (length < 11 || text[5] != '\\' || text[6] != 'u')
			return 0;
		long low = decode_hex(text + 7, length - 7, 4);
		if (low < 0xdc00 || low > 0xdfff)
			return 0;
		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
		taken = 11;
	}
	*out += put_utf8((uint32_t)code, *out);
	return taken;
}

static size_t
decode_octal(const char *text, size_t length, char **out)
{
	unsigned value = 0;
	size_t taken = 0;
	while (taken < 3 && taken < length && text[taken] >= '0' && text[taken] <= '7')
		value = value * 8 + (unsigned)(text[taken++] - '0');
	if (value > 0xff)
		return 0;
	*(*out)++ = (char)value;
	return taken;
}

static size_t
decode_one(const char *text, size_t length, char **out)
{
	if (length == 0)
		return 0;
	if (text[0] >= '0' && text[0] <= '7')
		return decode_octal(text, length, out);
	if (text[0] == 'u')
		return decode_unicode(text, length, out);
	if (text[0] == 'x') {
		long value = decode_hex(text + 1, length - 1, 2);
		if (value < 0)
			return 0;
		*(*out)++ = (char)value;
		return 3;
	}
	const char *letter = memchr(letters, text[0], sizeof(letters) - 1);
	if (letter == NULL)
		return 0;
	*(*out)++ = meanings[letter - letters];
	return 1;
}

long
escape_decode(const char *text, size_t length, char *out, size_t *ret_at)
{
	char *to = out;
	for (size_t at = 0; at < length;) {
		if (text[at] != '\\') {
			*to++ = text[at++];
			continue;
		}
		size_t taken = decode_one(text + at + 1, length - at - 1, &to);
		if (taken == 0) {
			*ret_at = at;
			return -1;
		}
		at += 1 + taken;
	}
	return to - out;
}

/* Into out[5]; returns the length. */
static size_t
encode_one(unsigned char byte, char *out)
{
	const char *meaning =
	    memchr(meanings, byte, sizeof(meanings) - 2); /* not "/" */
	if (meaning != NULL)
		return (size_t)snprintf(out, 5, "\\%c", letters[meaning - meanings]);
	if (byte < 0x20 || byte >= 0x7f)
		return (size_t)snprintf(out, 5, "\\x%02x", byte);
	out[0] = (char)byte;
	return 1;
}

char *
escape_encode(const void *data, size_t length, char *out, size_t out_size)
{
	const unsigned char *bytes = data;
	size_t used = 0;
	size_t cut = 0; /* the last place where "..." fits */
	char one[5];
	if (out_size == 0)
		return out;
	for (size_t i = 0; i < length; i++) {
		size_t n = encode_one(bytes[i], one);
		if (used + n > out_size - 1) {
			snprintf(out + cut, out_size - cut, "...");
			return out;
		}
		memcpy(out + used, one, n);
		used += n;
		if (used + 3 <= out_size - 1)
			cut = used;
	}
	out[used] = '\0';
	return out;
}
