/*
 * log_json.h - a log line as a JSON object, with the event and its values as members.
 *
 * The values come from the sentence: "[event name...] ", at the beginning of a format,
 * names what its conversions print (log.h).
 */
#ifndef LIB_LOG_JSON_H
#define LIB_LOG_JSON_H

#include <stdarg.h>
#include <stddef.h>

#define LOG_JSON_MEMBERS_MAX 1024

/* The sentence of a format: what follows "[...] ". */
const char *log_json_sentence(const char *format) __attribute__((format_arg(1)));

/* Writes the members of an event, each with a comma before it:
 * ,"event":"worker_died","worker":3,"reason":"signal 9 (Killed)"
 * `error` is the text of errno, which is the reason, or NULL. A value for which there
 * is no room is left out. members[LOG_JSON_MEMBERS_MAX]. */
void log_json_members(
    const char *format, va_list arguments, const char *error, char *members);

/* The writer of the line, and its time. */
struct log_json_origin {
	const char *time, *level, *program, *role;
	int pid;
};

/* Writes a line with its newline into line[size] and returns its length, without a NUL.
 * A long message is cut. size is at least LOG_JSON_MEMBERS_MAX and 512. */
size_t log_json_format(const struct log_json_origin *origin, const char *members,
    const char *message, char *line, size_t size);

#endif
