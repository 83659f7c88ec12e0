/* log_format.h - one log event as a line of text or JSON. */
#ifndef LIB_LOG_FORMAT_H
#define LIB_LOG_FORMAT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/log.h"

struct log_event {
	const char *program, *role; /* either may be "" */
	bool is_command;            /* text without the pid */
	enum log_level level;
	const char *message;
};

/* Both write a line with its newline into line[size] and return its length, without a
 * NUL. A long line is cut. size is at least the message's length and 256. */
size_t log_format_text(const struct log_event *event, char *line, size_t size);
size_t log_format_json(const struct log_event *event, char *line, size_t size);

#endif
