#include "master/recent_log.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "lib/log.h"
#include "lib/printable.h"

/* Lines read per wake-up, so that workers that log a lot do not occupy the master. The
 * pipe has room for as many: each takes a page. */
#define LINES_AT_ONCE 64

static void
keep(struct recent_log *recent, char *line)
{
	char *to = recent->lines[recent->count % RECENT_LOG_LINES];
	size_t length = strcspn(line, "\n");
	if (length >= RECENT_LOG_LINE_MAX)
		length = RECENT_LOG_LINE_MAX - 1;
	memcpy(to, line, length);
	to[length] = '\0';
	printable_sanitize(to);
	recent->count++;
}

static void
on_readable(evutil_socket_t fd, short what, void *argument)
{
	(void)what;
	char line[PIPE_BUF + 1];
	ssize_t n;
	for (int i = 0; i < LINES_AT_ONCE && (n = read(fd, line, PIPE_BUF)) > 0; i++) {
		line[n] = '\0';
		keep(argument, line);
	}
}

int
recent_log_start(struct recent_log *recent, struct event_base *base)
{
	int fds[2];
	if (pipe2(fds, O_DIRECT | O_NONBLOCK | O_CLOEXEC) < 0)
		return -1;
	(void)fcntl(fds[1], F_SETPIPE_SZ, LINES_AT_ONCE * (int)sysconf(_SC_PAGESIZE));
	event_assign(
	    &recent->event, base, fds[0], EV_READ | EV_PERSIST, on_readable, recent);
	if (event_add(&recent->event, NULL) < 0) {
		close(fds[0]);
		close(fds[1]);
		return -1;
	}
	recent->read_fd = fds[0];
	recent->is_started = true;
	log_set_copy_fd(fds[1]);
	return 0;
}

void
recent_log_stop(struct recent_log *recent)
{
	if (!recent->is_started)
		return;
	log_set_copy_fd(-1);
	event_del(&recent->event);
	close(recent->read_fd);
	recent->is_started = false;
}

const char *
recent_log_line(const struct recent_log *recent, uint64_t n)
{
	if (n >= recent->count || n >= RECENT_LOG_LINES)
		return NULL;
	return recent->lines[(recent->count - 1 - n) % RECENT_LOG_LINES];
}
