#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048

const char *const log_level_names[] = { "error", "warn", "info", "debug", NULL };
const char *const log_format_names[] = { "text", "json", NULL };

static struct {
	char program[32];
	char role[32];
	enum log_level level;
	enum log_format format;
	int fd;
	char *path;              /* NULL: stderr */
	unsigned long unwritten; /* lines since the last that could be */
	bool is_failing;         /* the last one could not */
} state = { .level = LOG_LEVEL_INFO, .fd = STDERR_FILENO };

void
log_set_name(const char *program, const char *role)
{
	snprintf(state.program, sizeof(state.program), "%s", program);
	snprintf(state.role, sizeof(state.role), "%s", role);
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

static int
open_append(const char *path)
{
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
}

static void
replace_file(int fd, char *path)
{
	if (state.fd != STDERR_FILENO)
		close(state.fd);
	if (path != state.path)
		free(state.path);
	state.fd = fd;
	state.path = path;
}

int
log_open(const char *path)
{
	if (path == NULL) {
		replace_file(STDERR_FILENO, NULL);
		return 0;
	}
	char *copy = strdup(path);
	if (copy == NULL)
		return -1;
	int fd = open_append(path);
	if (fd < 0) {
		free(copy);
		return -1;
	}
	replace_file(fd, copy);
	return 0;
}

int
log_reopen(void)
{
	if (state.path == NULL)
		return 0;
	int fd = open_append(state.path);
	if (fd < 0)
		return -1;
	replace_file(fd, state.path);
	return 0;
}

int
log_fd(void)
{
	return state.fd;
}

void
log_adopt(int fd)
{
	replace_file(fd, state.path);
}

/* Appends text as the inside of a JSON string; stops when full. */
static size_t
append_json_text(char *line, size_t at, size_t size, const char *text)
{
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (at + 8 > size)
			break;
		if (*c == '"' || *c == '\\')
			at += (size_t)sprintf(line + at, "\\%c", *c);
		else if (*c < 0x20)
			at += (size_t)sprintf(line + at, "\\u%04x", *c);
		else
			line[at++] = (char)*c;
	}
	return at;
}

static size_t
format_json(char *line, size_t size, enum log_level level, const char *message)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	struct tm tm;
	gmtime_r(&now.tv_sec, &tm);
	char when[32];
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	size_t at = (size_t)snprintf(line, size,
	    "{\"time\":\"%s.%06ldZ\",\"level\":\"%s\",\"program\":\"%s\",\"pid\":%d,",
	    when, now.tv_nsec / 1000, log_level_names[level], state.program,
	    (int)getpid());
	if (state.role[0] != '\0')
		at += (size_t)snprintf(
		    line + at, size - at, "\"role\":\"%s\",", state.role);
	at += (size_t)snprintf(line + at, size - at, "\"message\":\"");
	at = append_json_text(line, at, size - 4, message);
	memcpy(line + at, "\"}\n", 3);
	return at + 3;
}

/* One event is one line: what a file name or a value brings along cannot make two. */
static void
hide_control_bytes(char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = '?';
	}
}

static size_t
format_text(char *line, size_t size, const char *message)
{
	int at = 0;
	if (state.program[0] != '\0')
		at = snprintf(line, size, "%s[%d]%s%s: ", state.program, (int)getpid(),
		    state.role[0] != '\0' ? " " : "", state.role);
	int n = snprintf(line + at, size - (size_t)at - 1, "%s", message);
	size_t end = (size_t)(at + n);
	if (end > size - 2)
		end = size - 2;
	hide_control_bytes(line + at, end - (size_t)at);
	line[end] = '\n';
	return end + 1;
}

static void
write_line(enum log_level level, const char *message)
{
	char line[LINE_MAX_BYTES + 256];
	size_t length = state.format == LOG_FORMAT_JSON
	    ? format_json(line, sizeof(line), level, message)
	    : format_text(line, sizeof(line), message);
	ssize_t written = write(state.fd, line, length);
	if (written == (ssize_t)length) {
		state.is_failing = false;
		return;
	}
	if (written >= 0)
		errno = ENOSPC; /* a part fitted */
	state.unwritten++;
	bool is_first = !state.is_failing;
	state.is_failing = true;
	/* Once for each time that it begins, and to where it can be seen. */
	if (is_first && state.fd != STDERR_FILENO)
		dprintf(STDERR_FILENO,
		    "%s[%d]: the log file %s cannot be written: %s\n", state.program,
		    (int)getpid(), state.path, strerror(errno));
}

/* Tells how many lines were lost, once there is room again. */
static void
tell_unwritten(void)
{
	unsigned long lost = state.unwritten;
	if (lost == 0)
		return;
	char message[96];
	snprintf(message, sizeof(message), "%lu log lines could not be written", lost);
	state.unwritten = 0;
	write_line(LOG_LEVEL_WARN, message);
	if (state.unwritten > 0)
		state.unwritten = lost;
}

static void __attribute__((format(printf, 3, 0)))
log_line(enum log_level level, int error, const char *format, va_list arguments)
{
	if (level > state.level)
		return;
	int saved = errno;
	char message[LINE_MAX_BYTES];
	int n = vsnprintf(message, sizeof(message), format, arguments);
	if (error != 0 && n >= 0 && n < (int)sizeof(message))
		snprintf(
		    message + n, sizeof(message) - (size_t)n, ": %s", strerror(error));
	tell_unwritten();
	write_line(level, message);
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

void
fatal(int status, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	log_line(LOG_LEVEL_ERROR, errno, format, arguments);
	va_end(arguments);
	exit(status);
}

void
fatalx(int status, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	log_line(LOG_LEVEL_ERROR, 0, format, arguments);
	va_end(arguments);
	exit(status);
}
