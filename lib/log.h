/*
 * log.h - one line for each event, to stderr or wherever log_open sent it.
 *
 * The names are OpenBSD's: log_warn adds the text of errno, log_warnx does not.
 * A line is written with one write(2), so that the lines of several processes
 * never mix. errno is kept.
 */
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include <stdarg.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* What stands before each message: "yodeld[123] worker 2: " for log_set_name("yodeld",
 * "worker 2"), "yodeld[123]: " for an empty role. Both are copied. Until then: nothing.
 */
void log_set_name(const char *program, const char *role);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
void log_set_format(enum log_format format);
extern const char *const log_level_names[];  /* by enum log_level, NULL at the end */
extern const char *const log_format_names[]; /* by enum log_format, NULL at the end */

/* Lines go to the end of the file at `path` from now on, or to stderr for NULL. 0, or
 * -1 with errno and everything as it was. log_reopen opens the same path again (after a
 * rotation); a line that cannot be written (ENOSPC) is counted, and the count is told
 * when the next one can be. */
int log_open(const char *path) __attribute__((warn_unused_result));
int log_reopen(void) __attribute__((warn_unused_result));
/* The descriptor that lines go to. */
int log_fd(void);
/* Lines go to `fd`, which is owned from now on: for a process that may open no file. */
void log_adopt(int fd);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_errorx(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warnx(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Logs at error level, with the text of errno (fatal) or without (fatalx), and
 * exits with `status`. For start-up only: an event callback never exits. */
void fatal(int status, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));
void fatalx(int status, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

#endif
