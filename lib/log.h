/*
 * log.h - one line per event, to stderr, a file or syslog.
 *
 * As in OpenBSD, log_warn() appends the text of errno and log_warnx() does not. Each
 * line is one write(2), so that lines of several processes never mix. errno is kept.
 *
 * A line never waits (lib/system/sink.h): one that cannot be written, because the disk
 * is full or the reader of a pipe, FIFO, terminal or socket does not read, is dropped
 * and counted, and the count is logged as soon as there is room. Only a command, which
 * log_set_name() with NULL makes of a program, waits up to a second for room for an
 * error.
 */
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };
/* Lines up to this level also go to stderr when the log is a file or syslog. */
enum log_console {
	LOG_CONSOLE_NONE,
	LOG_CONSOLE_ERROR,
	LOG_CONSOLE_WARN,
	LOG_CONSOLE_INFO,
	LOG_CONSOLE_DEBUG,
};

/* The prefix of each line: "yodeld[123] worker 2: " for log_set_name("yodeld", "worker
 * 2"), "yodeld[123]: " for an empty role, "yodel: " for NULL (a command). Both are
 * copied. Until the first call there is no prefix. The first call also attaches stderr,
 * for which it may open a file: a process that may not open files inherits it. */
void log_set_name(const char *program, const char *role);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
void log_set_format(enum log_format format);
void log_set_console(enum log_console console);
extern const char *const log_console_names[]; /* by enum log_console, NULL at the end */
extern const char *const log_level_names[];   /* by enum log_level, NULL at the end */
extern const char *const log_format_names[];  /* by enum log_format, NULL at the end */

/* Logs to the file, device or FIFO at `path`, or to stderr for NULL. In a file, lines
 * of text start with time and level: "2026-11-21T05:24:07.301Z warn ". log_reopen()
 * opens the same path again, after a rotation. 0, or -1 with errno and nothing changed.
 */
int log_open(const char *path) __attribute__((warn_unused_result));
int log_reopen(void) __attribute__((warn_unused_result));
/* Logs to syslog(3), facility daemon, over the socket at `path`; log_reopen() connects
 * again. 0, or -1 with errno and nothing changed. */
#define LOG_SYSLOG_PATH "/dev/log"
int log_open_syslog(const char *path) __attribute__((warn_unused_result));
/* If stderr is a stream of the journal (JOURNAL_STREAM, systemd.exec(5)), starts lines
 * on it with their priority, "<4>", and without the program and its pid, which the
 * journal shows: "<4>worker 2 (pid 125): ". */
void log_detect_journal(void);
/* The descriptor of the file or socket, -1 if the log is stderr; and the one by which
 * stderr is written. A worker keeps both. */
int log_fd(void);
int log_console_fd(void);
/* True if the log is syslog. */
bool log_is_syslog(void);
/* Writes to syslog what an untrusted process has formatted for it. False if that is not
 * one line with a priority of this log. Changes the line. */
bool log_relay_line(char *line);
/* Logs to `fd`, which another process got from log_fd(), and takes ownership of it: for
 * a process that cannot open files. The log keeps its number, because a keeper uses the
 * same table of descriptors. */
void log_set_fd(int fd);

/* Writes lines of level warn and error also to `fd`, in the form of a file, and takes
 * ownership of it (-1: ends that). A line for which it has no room is not written
 * there. The descriptor, -1: none. */
void log_set_copy_fd(int fd);
int log_copy_fd(void);

/* Reports how many lines could not be written, and how many were suppressed
 * (log_ratelimit.h) in periods that have ended; call it every second or so. Debug lines
 * are never suppressed. */
void log_report_suppressed(void);

/* A format may begin, in brackets, with the name of the event in snake_case and the
 * names of what its conversions print, in their order, for the members of a JSON line:
 *
 *   log_warnx("[worker_died worker worker_pid reason] worker %u (pid %d): died: %s",
 * ...)
 *
 * "_" names a conversion that is no value. A value that the sentence does not show is
 * printed by "%.0s". The text of errno is the member "reason". Names do not change
 * between releases. In lines of text nothing of it is seen. Each line of yodeld has an
 * event (tests/check-events). */
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
