#include "lib/log.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log_json.h"
#include "lib/log_ratelimit.h"
#include "lib/printable.h"
#include "lib/system/sink.h"
#include "lib/units.h"

#define LINE_MAX_BYTES 2048
#define PREFIX_MAX_BYTES 48
#define SYSLOG_DAEMON (3 << 3) /* RFC 5424, 6.2.1 */

const char *const log_level_names[] = { "error", "warn", "info", "debug", NULL };
const char *const log_console_names[] = { "none", "error", "warn", "info", "debug",
	NULL };
const char *const log_format_names[] = { "text", "json", NULL };

static struct {
	char program[32];
	char role[32];
	bool is_command; /* no pid in the prefix */
	enum log_level level;
	enum log_format format;
	struct sink console; /* stderr */
	bool has_console;    /* it is attached */
	struct sink sink;    /* file or syslog, if is_separate */
	bool is_separate;    /* the log is not stderr */
	char *path;          /* of the file or socket; NULL: stderr */
	bool is_syslog;      /* sink is the socket of syslog */
	bool is_journal;     /* stderr is a stream of the journal */
	enum log_console console_level;
	unsigned long unwritten; /* lines that failed since the last successful one */
	bool is_failing;         /* the last line failed */
	struct sink copy;        /* of lines of level warn and error */
	bool has_copy;
} state = { .level = LOG_LEVEL_INFO };

/* A command waits this long for room for an error; a server never waits. */
#define COMMAND_PATIENCE_MS 1000

/* Before a process confines itself: attaching may open a terminal or a pipe again. */
static void
attach_console(void)
{
	if (!state.has_console)
		sink_attach(&state.console, STDERR_FILENO);
	state.has_console = true;
}

static void
attach_console_again(void)
{
	if (state.has_console)
		sink_close(&state.console);
	state.has_console = false;
	attach_console();
}

void
log_set_name(const char *program, const char *role)
{
	attach_console();
	snprintf(state.program, sizeof(state.program), "%s", program);
	snprintf(state.role, sizeof(state.role), "%s", role != NULL ? role : "");
	state.is_command = role == NULL;
	/* A child inherits these counts; its parent reports them. */
	state.unwritten = 0;
	state.is_failing = false;
	log_ratelimit_reset();
}

void
log_set_level(enum log_level level)
{
	state.level = level;
}

enum log_level
log_get_level(void)
{
	return state.level;
}

void
log_set_format(enum log_format format)
{
	state.format = format;
}

void
log_set_console(enum log_console console)
{
	state.console_level = console;
}

static void
close_sink(void)
{
	if (state.is_separate)
		sink_close(&state.sink);
	state.is_separate = false;
}

static void
replace_sink(int fd, char *path, bool is_syslog)
{
	close_sink();
	if (path != state.path)
		free(state.path);
	sink_own(&state.sink, fd);
	state.is_separate = true;
	state.path = path;
	state.is_syslog = is_syslog;
}

static int
connect_syslog(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	int saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static int
open_sink(const char *path, bool is_syslog)
{
	return is_syslog ? connect_syslog(path) : sink_open(path, O_APPEND, 0640);
}

static int
open_path(const char *path, bool is_syslog)
{
	char *copy = strdup(path);
	if (copy == NULL)
		return -1;
	int fd = open_sink(path, is_syslog);
	if (fd < 0) {
		free(copy);
		return -1;
	}
	replace_sink(fd, copy, is_syslog);
	return 0;
}

int
log_open(const char *path)
{
	if (path != NULL)
		return open_path(path, false);
	close_sink();
	free(state.path);
	state.path = NULL;
	state.is_syslog = false;
	attach_console_again();
	return 0;
}

int
log_open_syslog(const char *path)
{
	return open_path(path, true);
}

void
log_detect_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;
	state.is_journal = stream != NULL &&
	    sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	    fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

int
log_reopen(void)
{
	if (state.path == NULL)
		return 0;
	int fd = open_sink(state.path, state.is_syslog);
	if (fd < 0)
		return -1;
	replace_sink(fd, state.path, state.is_syslog);
	return 0;
}

int
log_fd(void)
{
	return state.is_separate ? state.sink.fd : -1;
}

int
log_console_fd(void)
{
	return state.has_console ? state.console.fd : STDERR_FILENO;
}

bool
log_is_syslog(void)
{
	return state.is_separate && state.is_syslog;
}

void
log_set_fd(int fd)
{
	int number = state.is_separate ? state.sink.fd : -1;
	close_sink();
	int same = number >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, number) : -1;
	if (same >= 0)
		close(fd);
	replace_sink(same >= 0 ? same : fd, state.path, state.is_syslog);
}

void
log_set_copy_fd(int fd)
{
	if (state.has_copy)
		sink_close(&state.copy);
	state.has_copy = fd >= 0;
	if (state.has_copy)
		sink_own(&state.copy, fd);
}

int
log_copy_fd(void)
{
	return state.has_copy ? state.copy.fd : -1;
}

/* Both write a line with its newline into line[size] and return its length, without a
 * NUL. A long line is cut. */
static size_t
format_json(enum log_level level, const char *members, const char *message, char *line,
    size_t size)
{
	char when[UNITS_TEXT_MAX];
	const struct log_json_origin origin = {
		.time = units_format_time(clock_realtime_ns(), 6, when),
		.level = log_level_names[level],
		.program = state.program,
		.role = state.role,
		.pid = (int)getpid(),
	};
	return log_json_format(&origin, members, message, line, size);
}

static size_t
format_text(bool is_journal, const char *message, char *line, size_t size)
{
	int at = 0;
	if (is_journal) /* which shows the program and the pid of the master itself */
		at = state.role[0] == '\0'
		    ? 0
		    : snprintf(line, size, "%s (pid %d): ", state.role, (int)getpid());
	else if (state.is_command)
		at = snprintf(line, size, "%s: ", state.program);
	else if (state.program[0] != '\0')
		at = snprintf(line, size, "%s[%d]%s%s: ", state.program, (int)getpid(),
		    state.role[0] != '\0' ? " " : "", state.role);
	int n = snprintf(line + at, size - (size_t)at - 1, "%s", message);
	size_t end = (size_t)at + (size_t)n;
	if (end > size - 2)
		end = size - 2;
	/* Untrusted values cannot add lines. */
	line[end] = '\0';
	printable_sanitize(line + at);
	line[end] = '\n';
	return end + 1;
}

/* The priority for journal and syslog, for syslog also the date (RFC 3164); time and
 * level for a file. */
static size_t
format_prefix(bool is_console, enum log_level level, char *prefix)
{
	static const int severities[] = { 3, 4, 6, 7 }; /* by enum log_level */
	if (is_console)
		return !state.is_journal ? 0
					 : (size_t)snprintf(prefix, PREFIX_MAX_BYTES,
					       "<%d>", severities[level]);
	char when[UNITS_TEXT_MAX];
	if (!state.is_syslog)
		return state.format == LOG_FORMAT_JSON
		    ? 0
		    : (size_t)snprintf(prefix, PREFIX_MAX_BYTES, "%s %s ",
			  units_format_time(clock_realtime_ns(), 3, when),
			  log_level_names[level]);
	time_t now = time(NULL);
	struct tm tm;
	localtime_r(&now, &tm);
	strftime(when, sizeof(when), "%b %e %H:%M:%S", &tm);
	return (size_t)snprintf(prefix, PREFIX_MAX_BYTES, "<%d>%s ",
	    SYSLOG_DAEMON | severities[level], when);
}

/* Formats a line for a sink and writes it. 0, or -1 with errno. */
static int
put_line(
    struct sink *sink, enum log_level level, const char *members, const char *message)
{
	char line[PREFIX_MAX_BYTES + LINE_MAX_BYTES + LOG_JSON_MEMBERS_MAX];
	bool is_console = sink == &state.console;
	size_t length = format_prefix(is_console, level, line);
	size_t room = sizeof(line) - length;
	length += state.format == LOG_FORMAT_JSON
	    ? format_json(level, members, message, line + length, room)
	    : format_text(is_console && state.is_journal, message, line + length, room);
	if (sink_write_line(sink, line, length) == 0)
		return 0;
	if (errno != EAGAIN || !state.is_command || level > LOG_LEVEL_ERROR ||
	    state.is_failing)
		return -1;
	sink_wait(sink, COMMAND_PATIENCE_MS);
	return sink_write_line(sink, line, length);
}

static const char *
failure_text(int error)
{
	return error == EAGAIN ? "its reader does not read" : strerror(error);
}

/* Without stdio, whose system calls a seccomp filter may forbid. */
static void
report_failure(int error)
{
	char text[LINE_MAX_BYTES];
	int n =
	    snprintf(text, sizeof(text), "%s[%d]: cannot write the log file %s: %s\n",
		state.program, (int)getpid(), state.path, failure_text(error));
	size_t length = n < (int)sizeof(text) ? (size_t)n : sizeof(text);
	if (sink_write_line(&state.console, text, length) < 0)
		errno = 0; /* there is no other place to report it */
}

static void
count_outcome(bool is_written)
{
	bool is_first = !is_written && !state.is_failing;
	state.is_failing = !is_written;
	state.unwritten += !is_written;
	if (is_first && state.is_separate)
		report_failure(errno);
}

/* A line that finds no room there is not missed. */
static void
put_copy(enum log_level level, const char *message)
{
	char line[PREFIX_MAX_BYTES + LINE_MAX_BYTES], when[UNITS_TEXT_MAX];
	size_t length = (size_t)snprintf(line, PREFIX_MAX_BYTES, "%s %s ",
	    units_format_time(clock_realtime_ns(), 3, when), log_level_names[level]);
	length += format_text(false, message, line + length, sizeof(line) - length);
	if (sink_write_line(&state.copy, line, length) < 0)
		errno = 0;
}

static void
write_line(enum log_level level, const char *members, const char *message)
{
	attach_console();
	if (state.has_copy && level <= LOG_LEVEL_WARN)
		put_copy(level, message);
	bool is_for_console =
	    state.is_separate && (int)level < (int)state.console_level;
	if (is_for_console && put_line(&state.console, level, members, message) < 0)
		errno = 0; /* there is no other place to report it */
	struct sink *sink = state.is_separate ? &state.sink : &state.console;
	count_outcome(put_line(sink, level, members, message) == 0);
}

/* Starts with a priority that format_prefix() writes. */
static bool
has_own_priority(const char *line)
{
	unsigned priority;
	int end = 0;
	return sscanf(line, "<%2u>%n", &priority, &end) == 1 && end == 4 &&
	    priority >= (SYSLOG_DAEMON | 3) && priority <= (SYSLOG_DAEMON | 7);
}

bool
log_relay_line(char *line)
{
	size_t length = strcspn(line, "\n");
	if (!log_is_syslog() || line[length] != '\n' || line[length + 1] != '\0' ||
	    !has_own_priority(line))
		return false;
	line[length] = '\0';
	printable_sanitize(line);
	line[length] = '\n';
	int saved = errno;
	count_outcome(sink_write_line(&state.sink, line, length + 1) == 0);
	errno = saved;
	return true;
}

/* Before the first line that can be written again. */
static void
report_unwritten(void)
{
	unsigned long lost = state.unwritten;
	if (lost == 0)
		return;
	char message[96], members[96];
	snprintf(message, sizeof(message), "%lu log lines could not be written", lost);
	snprintf(members, sizeof(members),
	    ",\"event\":\"log_lines_dropped\",\"lines\":%lu", lost);
	state.unwritten = 0;
	write_line(LOG_LEVEL_WARN, members, message);
	if (state.unwritten > 0)
		state.unwritten = lost;
}

void
log_report_suppressed(void)
{
	const char *kind;
	unsigned long count;
	uint64_t now = clock_now_ns();
	report_unwritten();
	while ((count = log_ratelimit_take_suppressed(now, &kind)) > 0) {
		char message[256], members[96];
		snprintf(message, sizeof(message),
		    "suppressed %lu more lines like \"%.128s\"", count,
		    log_json_sentence(kind));
		snprintf(members, sizeof(members),
		    ",\"event\":\"log_lines_suppressed\",\"lines\":%lu", count);
		write_line(LOG_LEVEL_WARN, members, message);
	}
}

static void __attribute__((format(printf, 3, 0)))
log_line(enum log_level level, int error, const char *format, va_list arguments)
{
	if (level > state.level)
		return;
	int saved = errno;
	if (level != LOG_LEVEL_DEBUG) {
		log_report_suppressed();
		errno = saved;
		if (!log_ratelimit_allow(format, clock_now_ns()))
			return;
	}
	char message[LINE_MAX_BYTES], members[LOG_JSON_MEMBERS_MAX] = "";
	if (state.format == LOG_FORMAT_JSON)
		log_json_members(
		    format, arguments, error != 0 ? strerror(error) : NULL, members);
	int n =
	    vsnprintf(message, sizeof(message), log_json_sentence(format), arguments);
	if (error != 0 && n >= 0 && n < (int)sizeof(message))
		snprintf(
		    message + n, sizeof(message) - (size_t)n, ": %s", strerror(error));
	report_unwritten();
	write_line(level, members, message);
	errno = saved;
}

#define DEFINE_LOG(name, level, error)                                                 \
	void name(const char *format, ...)                                             \
	{                                                                              \
		va_list arguments;                                                     \
		va_start(arguments, format);                                           \
		log_line(level, error, format, arguments);                             \
		va_end(arguments);                                                     \
	}

DEFINE_LOG(log_error, LOG_LEVEL_ERROR, errno)
DEFINE_LOG(log_errorx, LOG_LEVEL_ERROR, 0)
DEFINE_LOG(log_warn, LOG_LEVEL_WARN, errno)
DEFINE_LOG(log_warnx, LOG_LEVEL_WARN, 0)
DEFINE_LOG(log_info, LOG_LEVEL_INFO, 0)
DEFINE_LOG(log_debug, LOG_LEVEL_DEBUG, 0)

#define DEFINE_FATAL(name, error)                                                      \
	void name(int status, const char *format, ...)                                 \
	{                                                                              \
		va_list arguments;                                                     \
		va_start(arguments, format);                                           \
		log_line(LOG_LEVEL_ERROR, error, format, arguments);                   \
		va_end(arguments);                                                     \
		exit(status);                                                          \
	}

DEFINE_FATAL(fatal, errno)
DEFINE_FATAL(fatalx, 0)
