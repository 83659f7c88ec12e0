#include "master/log_relay.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <event2/event.h>

#include "lib/log.h"

/* Lines sent per wake-up, so that workers that log a lot do not occupy the master. The
 * pipe has room for as many: each takes a page. */
#define LINES_AT_ONCE 64

static void
on_readable(evutil_socket_t fd, short what, void *argument)
{
	(void)what;
	(void)argument;
	char line[PIPE_BUF + 1];
	ssize_t n;
	for (int i = 0; i < LINES_AT_ONCE && (n = read(fd, line, PIPE_BUF)) > 0; i++) {
		line[n] = '\0';
		if (!log_relay_line(line))
			log_warnx(
			    "[worker_line_malformed] "
			    "a worker wrote a malformed line to the log: dropped");
	}
}

int
log_relay_start(struct log_relay *relay, struct event_base *base)
{
	int fds[2];
	if (pipe2(fds, O_DIRECT | O_NONBLOCK | O_CLOEXEC) < 0)
		return -1;
	(void)fcntl(fds[1], F_SETPIPE_SZ, LINES_AT_ONCE * (int)sysconf(_SC_PAGESIZE));
	event_assign(
	    &relay->event, base, fds[0], EV_READ | EV_PERSIST, on_readable, relay);
	if (event_add(&relay->event, NULL) < 0) {
		close(fds[0]);
		close(fds[1]);
		return -1;
	}
	relay->read_fd = fds[0];
	relay->write_fd = fds[1];
	relay->is_started = true;
	return 0;
}

void
log_relay_stop(struct log_relay *relay)
{
	if (!relay->is_started)
		return;
	on_readable(relay->read_fd, 0, relay);
	event_del(&relay->event);
	close(relay->read_fd);
	close(relay->write_fd);
	relay->is_started = false;
}
