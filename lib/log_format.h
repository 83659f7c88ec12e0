/*
 * log_format.h - an event as one line of the log.
 */
#ifndef LIB_LOG_FORMAT_H
#define LIB_LOG_FORMAT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/log.h"

struct log_event {
	const char *program, *role; /* either may be "" */
	bool is_command;            /* a line of text has no process id */
	enum log_level level;
	const char *message;
};

/* Both write a line with its newline, cut where it does not fit, into line[size] (of
 * 256 bytes more than the message at least), and return its length; no NUL is added. */
size_t log_format_text(const struct log_event *event, char *line, size_t size);
size_t log_format_json(const struct log_event *event, char *line, size_t size);

#endif
