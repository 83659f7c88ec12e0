#include "lib/log_json.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/printable.h"

#define NAME_MAX_BYTES 48
#define VALUE_MAX_BYTES 512

const char *
log_json_sentence(const char *format)
{
	const char *end = format[0] == '[' ? strstr(format, "] ") : NULL;
	return end != NULL ? end + 2 : format;
}

/* Appends text escaped for a JSON string; truncated when the line is full. */
static size_t
append_text(char *line, size_t at, size_t size, const char *text)
{
	while (*text != '\0' && at + 8 <= size) {
		unsigned char c = (unsigned char)*text;
		size_t length = printable_length(text);
		if (c == '"' || c == '\\')
			line[at++] = '\\';
		if (length > 0)
			memcpy(line + at, text, length);
		else if (c < 0x80)
			at += (size_t)sprintf(line + at, "\\u%04x", c);
		else
			line[at++] = '?'; /* JSON cannot contain invalid UTF-8 */
		at += length;
		text += length > 0 ? length : 1;
	}
	return at;
}

/* The members, and the names that are still to come. */
struct members {
	const char *names;
	char *text; /* LOG_JSON_MEMBERS_MAX */
	size_t length;
	bool has_reason;
};

/* Copies the next name; false at the end. */
static bool
take_name(struct members *members, char name[NAME_MAX_BYTES])
{
	const char *at = members->names + strspn(members->names, " ");
	size_t length = strcspn(at, " ]");
	members->names = at + length;
	snprintf(name, NAME_MAX_BYTES, "%.*s", (int)length, at);
	return length > 0;
}

static void
put_member(struct members *members, const char *name, const char *value, bool is_text)
{
	char text[VALUE_MAX_BYTES];
	size_t at = 0;
	if (is_text) {
		text[at++] = '"';
		at = append_text(text, at, sizeof(text) - 2, value);
		text[at++] = '"';
		text[at] = '\0';
	}
	size_t room = LOG_JSON_MEMBERS_MAX - members->length;
	int n = snprintf(members->text + members->length, room, ",\"%s\":%s", name,
	    is_text ? text : value);
	if (n > 0 && (size_t)n < room)
		members->length += (size_t)n;
	members->text[members->length] = '\0';
	members->has_reason |= strcmp(name, "reason") == 0;
}

/* A conversion specification, printf(3). */
struct conversion {
	int precision; /* -1: none */
	int longs;     /* 0: int, 1: long, 2: long long */
	bool is_size;  /* size_t, ptrdiff_t */
	char letter;
};

/* Parses what follows a '%', taking "*" from the arguments. Returns its end. */
static const char *
parse_conversion(const char *at, va_list *arguments, struct conversion *ret)
{
	*ret = (struct conversion){ .precision = -1 };
	at += strspn(at, "-+ #0'");
	if (*at == '*')
		(void)va_arg(*arguments, int);
	at += *at == '*' ? 1 : strspn(at, "0123456789");
	if (*at == '.') {
		ret->precision = 0;
		at++;
		if (*at == '*')
			ret->precision = va_arg(*arguments, int);
		else
			sscanf(at, "%d", &ret->precision);
		at += *at == '*' ? 1 : strspn(at, "0123456789");
	}
	for (; *at != '\0' && strchr("hlzjt", *at) != NULL; at++) {
		ret->longs += *at == 'l';
		ret->longs += *at == 'j' ? 2 : 0;
		ret->is_size |= *at == 'z' || *at == 't';
	}
	ret->letter = *at;
	return *at == '\0' ? at : at + 1;
}

static void
format_signed(const struct conversion *c, va_list *arguments, char *value)
{
	long long number = c->longs >= 2 ? va_arg(*arguments, long long)
	    : c->longs == 1              ? va_arg(*arguments, long)
	    : c->is_size                 ? va_arg(*arguments, ptrdiff_t)
					 : va_arg(*arguments, int);
	snprintf(value, VALUE_MAX_BYTES, "%lld", number);
}

static void
format_unsigned(const struct conversion *c, va_list *arguments, char *value)
{
	unsigned long long number = c->longs >= 2
	    ? va_arg(*arguments, unsigned long long)
	    : c->longs == 1 ? va_arg(*arguments, unsigned long)
	    : c->is_size    ? va_arg(*arguments, size_t)
			    : va_arg(*arguments, unsigned);
	snprintf(value, VALUE_MAX_BYTES, "%llu", number);
}

/* Takes the argument of a conversion. True for text, false for a number. */
static bool
take_value(const struct conversion *c, va_list *arguments, char *value)
{
	const char *text;
	switch (c->letter) {
	case 'd':
	case 'i':
		format_signed(c, arguments, value);
		return false;
	case 's':
		/* "%.0s" stands for a value that the sentence does not show. */
		text = va_arg(*arguments, const char *);
		if (c->precision > 0)
			snprintf(value, VALUE_MAX_BYTES, "%.*s", c->precision, text);
		else
			snprintf(value, VALUE_MAX_BYTES, "%s", text);
		return true;
	case 'f':
	case 'g':
		snprintf(value, VALUE_MAX_BYTES, "%.*f",
		    c->precision >= 0 ? c->precision : 6, va_arg(*arguments, double));
		return false;
	default:
		format_unsigned(c, arguments, value);
		return false;
	}
}

void
log_json_members(
    const char *format, va_list arguments, const char *error, char *members_text)
{
	struct members members = { .names = "", .text = members_text };
	char name[NAME_MAX_BYTES], value[VALUE_MAX_BYTES];
	va_list values;
	members_text[0] = '\0';
	if (log_json_sentence(format) != format)
		members.names = format + 1;
	bool is_named = take_name(&members, name);
	put_member(&members, "event", is_named ? name : "message", true);
	va_copy(values, arguments);
	for (const char *at = log_json_sentence(format);
	     (at = strchr(at, '%')) != NULL;) {
		struct conversion conversion;
		at++;
		if (*at == '%') {
			at++;
			continue;
		}
		at = parse_conversion(at, &values, &conversion);
		bool is_text = take_value(&conversion, &values, value);
		/* "_" is a part of the sentence that is no value, as a plural's s. */
		if (take_name(&members, name) && strcmp(name, "_") != 0)
			put_member(&members, name, value, is_text);
	}
	va_end(values);
	if (error != NULL)
		put_member(
		    &members, members.has_reason ? "error" : "reason", error, true);
}

size_t
log_json_format(const struct log_json_origin *origin, const char *members,
    const char *message, char *line, size_t size)
{
	size_t at = (size_t)snprintf(line, size,
	    "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\",\"pid\":%d",
	    origin->time, origin->level, origin->program, origin->pid);
	if (origin->role[0] != '\0')
		at += (size_t)snprintf(
		    line + at, size - at, ",\"role\":\"%s\"", origin->role);
	at += (size_t)snprintf(line + at, size - at, "%s,\"message\":\"", members);
	at = append_text(line, at, size - 4, message);
	memcpy(line + at, "\"}\n", 3);
	return at + 3;
}
