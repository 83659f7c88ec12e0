/* report_line.h - one line of a report, made of parts. */
#ifndef CLIENT_REPORT_REPORT_LINE_H
#define CLIENT_REPORT_REPORT_LINE_H

#include <stddef.h>
#include <stdint.h>

#define REPORT_LINE_MAX 512 /* bytes, NUL included; what exceeds them is cut */

struct report_line {
	char *out; /* REPORT_LINE_MAX bytes */
	size_t length;
	const char *separator; /* before the next part; ", " after each part */
};

/* Makes out[REPORT_LINE_MAX] an empty line. */
struct report_line report_line_start(char *out);

void report_line_add(struct report_line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "s" unless n is 1. */
const char *report_line_plural(uint64_t n);

#endif
