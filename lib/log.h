/*
 * log.h - one line for each event, to stderr, a file or syslog.
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
/* What goes to stderr as well when the log is elsewhere: a level, or nothing. */
enum log_console {
	LOG_CONSOLE_NONE,
	LOG_CONSOLE_ERROR,
	LOG_CONSOLE_WARN,
	LOG_CONSOLE_INFO,
	LOG_CONSOLE_DEBUG,
};

/* What stands before each message: "yodeld[123] worker 2: " for log_set_name("yodeld",
 * "worker 2"), "yodeld[123]: " for an empty role, "yodel: ", as of a command, for NULL.
 * Both are copied. Until then: nothing. */
void log_set_name(const char *program, const char *role);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
void log_set_format(enum log_format format);
void log_set_console(enum log_console console);
extern const char *const log_console_names[]; /* by enum log_console, NULL at the end */
extern const char *const log_level_names[];   /* by enum log_level, NULL at the end */
extern const char *const log_format_names[];  /* by enum log_format, NULL at the end */

/* Lines go to the end of the file at `path` from now on, or to stderr for NULL; in a
 * file those of text begin with time and level: "2026-11-21T05:24:07.301Z warn ". 0, or
 * -1 with errno and everything as it was. log_reopen opens the same path again (after a
 * rotation); a line that cannot be written (ENOSPC) is counted, and the count is told
 * when the next one can be. */
int log_open(const char *path) __attribute__((warn_unused_result));
int log_reopen(void) __attribute__((warn_unused_result));
/* Lines go to the system's log (syslog(3)) from now on, facility daemon, whose socket
 * is at `path`; log_reopen connects again. 0, or -1 with errno and everything as it
 * was. */
#define LOG_SYSLOG_PATH "/dev/log"
int log_open_syslog(const char *path) __attribute__((warn_unused_result));
/* Lines on stderr begin with their priority, "<4>", when it is the journal's: systemd
 * says which stream that is in JOURNAL_STREAM (systemd.exec(5)). */
void log_detect_journal(void);
/* The descriptor that lines go to. */
int log_fd(void);
/* Lines go to `fd`, which is owned from now on: for a process that may open no file. */
void log_set_fd(int fd);

/* Where one kind of line comes too often (log_ratelimit.h), the rest is counted. This
 * tells the counts whose time has come; call it now and then. Debug lines are never
 * left out.
 */
void log_report_suppressed(void);

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
