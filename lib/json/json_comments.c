#include "lib/json/json_comments.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/escape.h"
#include "lib/printable.h"

static void
blank(char *text, size_t from, size_t to)
{
	for (; from < to; from++)
		if (text[from] != '\n' && text[from] != '\r')
			text[from] = ' ';
}

static bool
starts_with(const char *text, size_t length, size_t at, const char *word)
{
	size_t n = strlen(word);
	return at + n <= length && memcmp(text + at, word, n) == 0;
}

static size_t
mark_length(const char *text, size_t length)
{
	return starts_with(text, length, 0, "\xef\xbb\xbf") ? 3 : 0;
}

/* Past the string that starts at `at` and ends on the same line. */
static size_t
skip_string(const char *text, size_t length, size_t at)
{
	for (at++; at < length && text[at] != '"' && text[at] != '\n'; at++)
		if (text[at] == '\\' && at + 1 < length)
			at++;
	return at < length ? at + 1 : length;
}

/* Past the comment that starts at `at`; 0 if it has no end. */
static size_t
skip_comment(const char *text, size_t length, size_t at)
{
	if (!starts_with(text, length, at, "/*")) {
		const char *end = memchr(text + at, '\n', length - at);
		return end != NULL ? (size_t)(end - text) : length;
	}
	for (at += 2; at < length; at++)
		if (starts_with(text, length, at, "*/"))
			return at + 2;
	return 0;
}

/* U+0080 to U+009F, which JSON allows in a string. */
static bool
is_c1_control(const char *text)
{
	return (unsigned char)text[0] == 0xc2 && (unsigned char)text[1] >= 0x80 &&
	    (unsigned char)text[1] < 0xa0;
}

size_t
json_comments_find_binary(const char *text, size_t length)
{
	size_t at = 0;
	while (at < length) {
		unsigned char c = (unsigned char)text[at];
		if (c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c < 0x80)) {
			at++;
			continue;
		}
		/* A sequence that the end cuts off ends at the NUL of this copy. */
		char character[5] = "";
		memcpy(character, text + at, length - at < 4 ? length - at : 4);
		size_t bytes = c < 0x80 ? 0 : printable_length(character);
		if (bytes == 0 && !is_c1_control(character))
			break;
		at += bytes > 0 ? bytes : 2;
	}
	return at;
}

int
json_comments_blank(char *text, size_t length, size_t *ret_at)
{
	size_t at = 0;
	blank(text, 0, mark_length(text, length));
	while (at < length) {
		if (text[at] == '"') {
			at = skip_string(text, length, at);
		} else if (text[at] == '#' || starts_with(text, length, at, "//") ||
		    starts_with(text, length, at, "/*")) {
			size_t end = skip_comment(text, length, at);
			if (end == 0) {
				*ret_at = at;
				return -1;
			}
			blank(text, at, end);
			at = end;
		} else {
			at++;
		}
	}
	return 0;
}

void
json_comments_position(const char *text, size_t length, size_t offset,
    unsigned *ret_line, unsigned *ret_column)
{
	unsigned line = 1, column = 1;
	for (size_t at = mark_length(text, length); at < offset && at < length; at++) {
		if (text[at] == '\n') {
			line++;
			column = 1;
		} else if (((unsigned char)text[at] & 0xc0) != 0x80) {
			column++;
		}
	}
	*ret_line = line;
	*ret_column = column;
}

static size_t
skip_space(const char *text, size_t length, size_t at)
{
	while (at < length && text[at] != '\0' && strchr(" \t\r\n", text[at]) != NULL)
		at++;
	return at;
}

/* To the "," or the closing bracket after the value at `at`. */
static size_t
skip_value(const char *text, size_t length, size_t at)
{
	size_t depth = 0;
	while (at < length) {
		char c = text[at];
		if (c == '"') {
			at = skip_string(text, length, at);
			continue;
		}
		if (depth == 0 && (c == ',' || c == '}' || c == ']'))
			return at;
		if (c == '{' || c == '[')
			depth++;
		else if (c == '}' || c == ']')
			depth--;
		at++;
	}
	return length;
}

/* Compares the string from `at` to `end`, with its quotes, to a key. */
static bool
string_is(const char *text, size_t at, size_t end, const char *key)
{
	if (end - at < 2)
		return false;
	size_t bad, size = end - at - 2;
	char *decoded = malloc(size + 1);
	if (decoded == NULL)
		return false;
	long n = escape_decode(text + at + 1, size, decoded, &bad);
	bool same = n == (long)strlen(key) && memcmp(decoded, key, (size_t)n) == 0;
	free(decoded);
	return same;
}

int
json_comments_find_key(const char *text, size_t length, size_t object, const char *key,
    size_t *ret_key, size_t *ret_value)
{
	size_t at = skip_space(text, length, object);
	if (at >= length || text[at] != '{')
		return -1;
	do {
		size_t name = skip_space(text, length, at + 1);
		if (name >= length || text[name] != '"')
			return -1;
		size_t name_end = skip_string(text, length, name);
		size_t colon = skip_space(text, length, name_end);
		size_t value = skip_space(text, length, colon + 1);
		if (value >= length)
			return -1;
		if (string_is(text, name, name_end, key)) {
			*ret_key = name;
			*ret_value = value;
			return 0;
		}
		at = skip_value(text, length, value);
	} while (at < length && text[at] == ',');
	return -1;
}

int
json_comments_find_item(
    const char *text, size_t length, size_t list, size_t index, size_t *ret_value)
{
	size_t at = skip_space(text, length, list);
	if (at >= length || text[at] != '[')
		return -1;
	for (; index > 0; index--) {
		at = skip_value(text, length, at + 1);
		if (at >= length || text[at] != ',')
			return -1;
	}
	at = skip_space(text, length, at + 1);
	if (at >= length || text[at] == ']')
		return -1;
	*ret_value = at;
	return 0;
}
