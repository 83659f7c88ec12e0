#include "proto/conversation/conversation_source.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "lib/escape.h"
#include "lib/printable.h"
#include "proto/conversation/conversation.h"

bool
source_fail(struct source *source, const char *where, const char *format, ...)
{
	unsigned line = 1;
	const char *line_start = source->start;
	char file[PRINTABLE_TAIL_MAX];
	va_list arguments;
	for (const char *at = source->start; at < where; at++) {
		if (*at == '\n') {
			line++;
			line_start = at + 1;
		}
	}
	int n = snprintf(source->error, CONVERSATION_ERROR_MAX,
	    "%s:%u:%u: ", printable_tail(source->file, file, sizeof(file)), line,
	    (unsigned)(where - line_start) + 1);
	va_start(arguments, format);
	vsnprintf(
	    source->error + n, (size_t)(CONVERSATION_ERROR_MAX - n), format, arguments);
	va_end(arguments);
	source->status = EX_USAGE;
	return false;
}

bool
source_fail_memory(struct source *source)
{
	char file[PRINTABLE_TAIL_MAX];
	snprintf(source->error, CONVERSATION_ERROR_MAX, "%s: out of memory",
	    printable_tail(source->file, file, sizeof(file)));
	source->status = EX_OSERR;
	return false;
}

/* The next "\n", or NULL. */
static const char *
find_newline(const struct source *source, const char *at)
{
	return at < source->end ? memchr(at, '\n', (size_t)(source->end - at)) : NULL;
}

const char *
source_line_end(const struct source *source, const char *where)
{
	const char *end = find_newline(source, where);
	if (end == NULL)
		end = source->end;
	return end > where && end[-1] == '\r' ? end - 1 : end;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

int
source_peek(struct source *source)
{
	for (;;) {
		const char *line_end = source_line_end(source, source->at);
		if (source->at < line_end)
			return (unsigned char)*source->at;
		const char *next = find_newline(source, source->at);
		if (next == NULL || ++next == source->end || !is_blank(*next))
			return SOURCE_END;
		while (next < source->end && is_blank(*next))
			next++;
		if (next == source_line_end(source, next))
			return SOURCE_END; /* a line of blanks */
		source->at = next;
		source->line++;
	}
}

void
source_next_line(struct source *source)
{
	const char *end = find_newline(source, source->at);
	source->at = end == NULL ? source->end : end + 1;
	source->line++;
}

char *
source_quote(const char *start, const char *end, char *out)
{
	size_t length = (size_t)(end - start), shown = length;
	if (length == 0)
		return strcpy(out, "the end of the line");
	if (shown > SOURCE_QUOTE_MAX - 6)
		shown = SOURCE_QUOTE_MAX - 6;
	snprintf(out, SOURCE_QUOTE_MAX, "\"%.*s%s\"", (int)shown, start,
	    shown < length ? "..." : "");
	return printable_sanitize(out);
}

const char *
source_escape(struct source *source, const char *at, const char *end, char *ret_byte)
{
	static const char letters[] = "rnt0\\}", meanings[] = "\r\n\t\0\\}";
	char quote[SOURCE_QUOTE_MAX];
	for (size_t i = 0; at < end && i < sizeof(letters) - 1; i++) {
		if (*at == letters[i]) {
			*ret_byte = meanings[i];
			return at + 1;
		}
	}
	if (end - at >= 3 && at[0] == 'x' && escape_hex_digit(at[1]) >= 0 &&
	    escape_hex_digit(at[2]) >= 0) {
		*ret_byte =
		    (char)(escape_hex_digit(at[1]) * 16 + escape_hex_digit(at[2]));
		return at + 3;
	}
	source_fail(source, at - 1,
	    "found %s, expected \\r, \\n, \\t, \\0, \\xHH, \\\\, \\}, \\{...} or, at the end, \\c",
	    source_quote(at - 1, end - at > 3 ? at + 3 : end, quote));
	return NULL;
}
