#include "client/report/report_line.h"

#include <stdarg.h>
#include <stdio.h>

struct report_line
report_line_start(char *out)
{
	out[0] = '\0';
	return (struct report_line){ .out = out, .separator = "" };
}

static void
advance(struct report_line *line, int n)
{
	size_t room = REPORT_LINE_MAX - line->length;
	line->length += (size_t)n < room ? (size_t)n : room - 1;
}

void
report_line_add(struct report_line *line, const char *format, ...)
{
	va_list arguments;
	advance(line,
	    snprintf(line->out + line->length, REPORT_LINE_MAX - line->length, "%s",
		line->separator));
	va_start(arguments, format);
	advance(line,
	    vsnprintf(line->out + line->length, REPORT_LINE_MAX - line->length, format,
		arguments));
	va_end(arguments);
	line->separator = ", ";
}

const char *
report_line_plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}
