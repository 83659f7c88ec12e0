/*
 * log_lines.h - removes the time and the level from the lines of a log file. For cmocka
 * programs.
 */
#ifndef TESTS_LOG_LINES_H
#define TESTS_LOG_LINES_H

#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <string.h>

/* Each line must begin with a time and a level. Modifies and returns the text. */
static inline char *
log_lines_strip(char *text)
{
	regex_t prefix;
	regmatch_t match;
	char *to = text;

	assert_int_equal(
	    regcomp(&prefix,
		"^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9][.][0-9]{3}Z (error|warn|info|debug) ",
		REG_EXTENDED),
	    0);
	for (const char *line = text; *line != '\0';) {
		assert_int_equal(regexec(&prefix, line, 1, &match, 0), 0);
		line += match.rm_eo;
		size_t length = strcspn(line, "\n");
		length += line[length] == '\n';
		memmove(to, line, length);
		to += length;
		line += length;
	}
	*to = '\0';
	regfree(&prefix);
	return text;
}

#endif
