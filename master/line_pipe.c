#include "master/line_pipe.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <event2/event.h>

/* Lines read per wake-up, so that workers that log a lot do not occupy the master. The
 * pipe has room for as many: each takes a page. */
#define LINES_AT_ONCE 64

static void
on_readable(evutil_socket_t fd, short what, void *argument)
{
	(void)what;
	struct line_pipe *pipe = argument;
	char line[PIPE_BUF + 1];
	ssize_t n;
	for (int i = 0; i < LINES_AT_ONCE && (n = read(fd, line, PIPE_BUF)) > 0; i++) {
		line[n] = '\0';
		pipe->on_line(line, pipe->argument);
	}
}

int
line_pipe_start(struct line_pipe *pipe, struct event_base *base,
    line_pipe_reader on_line, void *argument)
{
	int fds[2];
	if (pipe2(fds, O_DIRECT | O_NONBLOCK | O_CLOEXEC) < 0)
		return -1;
	(void)fcntl(fds[1], F_SETPIPE_SZ, LINES_AT_ONCE * (int)sysconf(_SC_PAGESIZE));
	if (line_pipe_continue(pipe, base, fds, on_line, argument) == 0)
		return 0;
	close(fds[0]);
	close(fds[1]);
	return -1;
}

int
line_pipe_continue(struct line_pipe *pipe, struct event_base *base, const int fds[2],
    line_pipe_reader on_line, void *argument)
{
	event_assign(
	    &pipe->event, base, fds[0], EV_READ | EV_PERSIST, on_readable, pipe);
	if (event_add(&pipe->event, NULL) < 0)
		return -1;
	pipe->on_line = on_line;
	pipe->argument = argument;
	pipe->read_fd = fds[0];
	pipe->write_fd = fds[1];
	pipe->is_started = true;
	return 0;
}

void
line_pipe_stop(struct line_pipe *pipe)
{
	if (!pipe->is_started)
		return;
	on_readable(pipe->read_fd, 0, pipe);
	event_del(&pipe->event);
	close(pipe->read_fd);
	if (pipe->write_fd >= 0)
		close(pipe->write_fd);
	pipe->is_started = false;
}
