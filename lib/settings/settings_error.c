#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/escape.h"
#include "lib/json/json_comments.h"
#include "lib/printable.h"
#include "lib/settings/settings_reader.h"
#include "lib/suggest.h"

#define PATH_LENGTH 192
#define FOUND_LENGTH 80
#define SIBLINGS_MAX 64
#define SIBLING_LENGTH 64

size_t
settings_place_format(const struct settings_place *place, char *out, size_t size)
{
	char key[FOUND_LENGTH];
	int n;
	if (place == NULL) {
		out[0] = '\0';
		return 0;
	}
	size_t used = settings_place_format(place->parent, out, size);
	if (place->key == NULL)
		n = snprintf(out + used, size - used, "[%zu]", place->index);
	else
		n = snprintf(out + used, size - used, "%s%s", used > 0 ? "." : "",
		    escape_encode(place->key, strlen(place->key), key, sizeof(key)));
	used += (size_t)n;
	return used < size ? used : size - 1;
}

static int
find_place(const struct settings_reader *reader, const struct settings_place *place,
    size_t *ret_key, size_t *ret_value)
{
	size_t above = 0, ignored;
	if (place == NULL) {
		*ret_key = *ret_value = strspn(reader->text, " \t\r\n");
		return 0;
	}
	if (find_place(reader, place->parent, &ignored, &above) < 0)
		return -1;
	if (place->key != NULL)
		return json_comments_find_key(reader->text, reader->length, above,
		    place->key, ret_key, ret_value);
	if (json_comments_find_item(
		reader->text, reader->length, above, place->index, ret_value) < 0)
		return -1;
	*ret_key = *ret_value;
	return 0;
}

static size_t
offset_of(const struct settings_reader *reader, const struct settings_place *place,
    bool is_key)
{
	size_t key, value;
	if (reader->text == NULL || find_place(reader, place, &key, &value) < 0)
		return SETTINGS_NOWHERE;
	return is_key ? key : value;
}

int
settings_error_at(
    struct settings_reader *reader, size_t offset, const char *format, ...)
{
	char source[PRINTABLE_TAIL_MAX];
	unsigned line, column;
	va_list arguments;
	int n;
	printable_tail(reader->source, source, sizeof(source));
	if (offset != SETTINGS_NOWHERE) {
		json_comments_position(
		    reader->original, reader->length, offset, &line, &column);
		n = snprintf(reader->error, reader->error_size, "%s:%u:%u: ", source,
		    line, column);
	} else {
		n = snprintf(reader->error, reader->error_size, "%s: ", source);
	}
	if ((size_t)n < reader->error_size) {
		va_start(arguments, format);
		vsnprintf(reader->error + n, reader->error_size - (size_t)n, format,
		    arguments);
		va_end(arguments);
	}
	printable_sanitize(reader->error);
	return -1;
}

/* Into out[FOUND_LENGTH + 2] or a literal. */
static const char *
describe(const json_t *json, char *out)
{
	char text[FOUND_LENGTH];
	switch (json_typeof(json)) {
	case JSON_STRING:
		escape_encode(json_string_value(json), json_string_length(json), text,
		    sizeof(text));
		snprintf(out, FOUND_LENGTH + 2, "\"%s\"", text);
		return out;
	case JSON_INTEGER:
		snprintf(out, FOUND_LENGTH, "%" JSON_INTEGER_FORMAT,
		    json_integer_value(json));
		return out;
	case JSON_REAL:
		snprintf(out, FOUND_LENGTH, "%.10g", json_real_value(json));
		return strpbrk(out, ".e") != NULL ? out : strcat(out, ".0");
	case JSON_TRUE:
		return "true";
	case JSON_FALSE:
		return "false";
	case JSON_ARRAY:
		snprintf(out, FOUND_LENGTH, "a list of %zu", json_array_size(json));
		return json_array_size(json) == 0 ? "an empty list" : out;
	case JSON_OBJECT:
		return "an object";
	default:
		return "null";
	}
}

int
settings_error_value(struct settings_reader *reader, const struct settings_place *place,
    const json_t *found, const char *expected)
{
	char path[PATH_LENGTH], text[FOUND_LENGTH + 2];
	settings_place_format(place, path, sizeof(path));
	return settings_error_at(reader, offset_of(reader, place, false),
	    "%s: found %s, expected %s", path, describe(found, text), expected);
}

int
settings_error_row(struct settings_reader *reader, const struct settings_place *place,
    const json_t *found, const struct setting *row)
{
	char expected[SETTINGS_EXPECTED_MAX];
	return settings_error_value(
	    reader, place, found, settings_expected(row, expected));
}

int
settings_error_check(struct settings_reader *reader, const struct settings_place *place,
    const char *problem)
{
	char path[PATH_LENGTH];
	settings_place_format(place, path, sizeof(path));
	return settings_error_at(
	    reader, offset_of(reader, place, false), "%s: %s", path, problem);
}

int
settings_error_missing(struct settings_reader *reader,
    const struct settings_place *place, const struct setting *row)
{
	struct settings_place missing = { place, row->name, 0 };
	char path[PATH_LENGTH], expected[SETTINGS_EXPECTED_MAX];
	settings_place_format(&missing, path, sizeof(path));
	return settings_error_at(reader, offset_of(reader, place, false),
	    "%s: missing, expected %s", path, settings_expected(row, expected));
}

int
settings_error_memory(struct settings_reader *reader)
{
	return settings_error_at(reader, SETTINGS_NOWHERE, "out of memory");
}

static bool
is_separator(char letter)
{
	return letter == '.' || letter == '_' || letter == '-';
}

/* "log_level" matches "log.level", "stalled-write" matches "stalled_write". */
static bool
is_same_name(const char *a, const char *b)
{
	while (*a != '\0' && (*a == *b || (is_separator(*a) && is_separator(*b)))) {
		a++;
		b++;
	}
	return *a == *b;
}

/* The row in any object whose name or last key is `key`: "idle" finds "timeouts.idle".
 */
struct leaf {
	const char *key;
	char found[PATH_LENGTH];
};

static void
match_leaf(const char *name, const struct setting *row, void *arg)
{
	struct leaf *leaf = arg;
	const char *point = strrchr(row->name, '.');
	if (leaf->found[0] == '\0' &&
	    (is_same_name(row->name, leaf->key) ||
		(point != NULL && is_same_name(point + 1, leaf->key))))
		snprintf(leaf->found, sizeof(leaf->found), "%s", name);
}

/* The nearest key of the same object, in out[SIBLING_LENGTH]; or NULL. */
static const char *
nearest_sibling(const struct settings_target *target, const char *key, char *out)
{
	char names[SIBLINGS_MAX][SIBLING_LENGTH];
	const char *list[SIBLINGS_MAX + 1];
	size_t group = strlen(target->group), count = 0;
	for (const struct setting *row = target->settings->rows;
	     row->name != NULL && count < SIBLINGS_MAX; row++) {
		if (strncmp(row->name, target->group, group) != 0)
			continue;
		const char *name = row->name + group;
		snprintf(names[count], SIBLING_LENGTH, "%.*s", (int)strcspn(name, "."),
		    name);
		list[count] = names[count];
		count++;
	}
	list[count] = NULL;
	const char *nearest = suggest_nearest(key, list);
	if (nearest == NULL)
		return NULL;
	snprintf(out, SIBLING_LENGTH, "%s", nearest);
	return out;
}

int
settings_error_key(struct settings_reader *reader, const struct settings_target *target,
    const struct settings_place *place)
{
	char path[PATH_LENGTH], name[SIBLING_LENGTH], hint[PATH_LENGTH + 32] = "";
	struct settings_place meant = { .parent = place->parent };
	struct leaf leaf = { .key = place->key };
	settings_place_format(place, path, sizeof(path));
	/* "limits.max_message" */
	if (target->group[0] == '\0' &&
	    settings_find(target->settings, place->key) != NULL)
		return settings_error_at(reader, offset_of(reader, place, true),
		    "unknown key \"%s\"; expected an object for each part of it", path);
	meant.key = nearest_sibling(target, place->key, name);
	if (meant.key != NULL)
		settings_place_format(&meant, leaf.found, sizeof(leaf.found));
	else
		settings_walk(reader->settings, match_leaf, &leaf);
	if (leaf.found[0] != '\0')
		snprintf(hint, sizeof(hint), "; did you mean \"%s\"?", leaf.found);
	return settings_error_at(
	    reader, offset_of(reader, place, true), "unknown key \"%s\"%s", path, hint);
}

/* Start of the token that jansson names in "... near 'token'", after reading it. */
static size_t
token_offset(const struct settings_reader *reader, const json_error_t *error)
{
	size_t end = error->position > 0 ? (size_t)error->position : 0;
	const char *near = strstr(error->text, " near '");
	if (end > reader->length)
		end = reader->length;
	if (near == NULL)
		return end;
	size_t token = strlen(near + 7) - 1; /* without the last quote */
	return token <= end ? end - token : 0;
}

/* The last character before `offset` that is not a space, or '\0'. */
static char
character_before(const struct settings_reader *reader, size_t offset)
{
	while (offset > 0 && strchr(" \t\r\n", reader->text[offset - 1]) != NULL)
		offset--;
	return offset > 0 ? reader->text[offset - 1] : '\0';
}

/* The wording of settings for an error of jansson; NULL: keep that of jansson. */
static const char *
expected_instead(const char *text)
{
	static const struct {
		const char *begins, *expected;
	} rows[] = {
		{ "'}' expected", "a comma or \"}\"" },
		{ "']' expected", "a comma or \"]\"" },
		{ "string or '}' expected", "a key in double quotes or \"}\"" },
		{ "':' expected", "a colon" },
		{ "'[' or '{' expected", "an object, { ... }" },
		{ "end of file expected", "the end of the file" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strncmp(text, rows[i].begins, strlen(rows[i].begins)) == 0)
			return rows[i].expected;
	}
	return NULL;
}

/* The encoding that a file seems to have, from its first bytes. */
static const char *
guess_encoding(const char *text, size_t length)
{
	static const struct {
		const char *bytes;
		size_t length, zeros; /* a bit for each byte that must be zero */
		const char *name;
	} rows[] = {
		{ "\xff\xfe", 2, 0, "UTF-16" },
		{ "\xfe\xff", 2, 0, "UTF-16" },
		{ "", 4, 0xe, "UTF-32" },
		{ "", 4, 0x7, "UTF-32" },
		{ "", 4, 0xa, "UTF-16" },
		{ "", 4, 0x5, "UTF-16" },
		{ "\x1f\x8b", 2, 0, "gzip data" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t marked = strlen(rows[i].bytes), matching = 0;
		for (size_t j = 0; length >= rows[i].length && j < rows[i].length; j++)
			matching += marked > 0
			    ? text[j] == rows[i].bytes[j]
			    : (text[j] == '\0') == ((rows[i].zeros >> j & 1) != 0);
		if (matching == rows[i].length)
			return rows[i].name;
	}
	return NULL;
}

int
settings_error_binary(struct settings_reader *reader, size_t offset)
{
	const char *encoding = guess_encoding(reader->original, reader->length);
	return settings_error_at(reader, offset,
	    "found the byte 0x%02x (byte %zu of %zu), expected text in UTF-8%s%s",
	    (unsigned char)reader->original[offset], offset + 1, reader->length,
	    encoding != NULL ? "; the file looks like " : "",
	    encoding != NULL ? encoding : "");
}

/* Between the values; the file is valid UTF-8. */
static int
error_character(struct settings_reader *reader, size_t offset)
{
	const unsigned char *at = (const unsigned char *)reader->text + offset;
	unsigned length = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
	unsigned code = at[0] & (0xffu >> (length + 1));
	for (unsigned i = 1; i < length; i++)
		code = code << 6 | (at[i] & 0x3fu);
	return settings_error_at(reader, offset,
	    "not JSON: found the character U+%04X, expected a value", code);
}

int
settings_error_syntax(struct settings_reader *reader, const json_error_t *error)
{
	size_t offset = token_offset(reader, error);
	char token = offset < reader->length ? reader->text[offset] : '\0';
	const char *near = strstr(error->text, " near '");
	switch (json_error_code(error)) {
	case json_error_duplicate_key:
		return settings_error_at(reader, offset,
		    "duplicate key %.*s, expected it once",
		    near != NULL ? (int)strlen(near + 7) - 1 : 0,
		    near != NULL ? near + 7 : "");
	case json_error_null_character:
	case json_error_null_byte_in_key:
		return settings_error_at(reader, offset,
		    "found a string that contains \\u0000, expected text");
	case json_error_out_of_memory:
		return settings_error_memory(reader);
	case json_error_premature_end_of_input:
		return settings_error_at(reader, offset,
		    "found the end of the file inside a value, expected its closing bracket");
	default:
		break;
	}
	if ((token == '}' || token == ']') && character_before(reader, offset) == ',')
		return settings_error_at(reader, offset,
		    "found a comma before \"%c\", expected none", token);
	if ((unsigned char)token >= 0x80)
		return error_character(reader, offset);
	const char *expected = expected_instead(error->text);
	if (expected == NULL)
		return settings_error_at(reader, offset, "not JSON: %s", error->text);
	return settings_error_at(reader, offset, "not JSON: found %.64s, expected %s",
	    near != NULL ? near + 6 : "the end", expected);
}
