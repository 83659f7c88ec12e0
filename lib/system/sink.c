#include "lib/system/sink.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* A second open file description of what `fd` refers to, or -1: the file may belong to
 * another user, and /proc may not be mounted. */
static int
open_again(int fd)
{
	char path[32];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

static int
open_terminal(int fd)
{
	unsigned wanted, found;
	int again = open_again(fd);
	if (again >= 0)
		return again;
	/* Any user may open the controlling terminal by this name. */
	again = open("/dev/tty", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (again >= 0 && ioctl(fd, TIOCGDEV, &wanted) == 0 &&
	    ioctl(again, TIOCGDEV, &found) == 0 && wanted == found)
		return again;
	if (again >= 0)
		close(again);
	return -1;
}

static void
use_own(struct sink *sink, int fd, enum sink_kind kind, enum sink_kind otherwise)
{
	sink->kind = fd >= 0 ? kind : otherwise;
	sink->is_owned = fd >= 0;
	if (fd >= 0)
		sink->fd = fd;
}

void
sink_attach(struct sink *sink, int fd)
{
	struct stat st;
	int saved = errno;
	*sink = (struct sink){ .fd = fd, .kind = SINK_FILE };
	if (fstat(fd, &st) < 0)
		st.st_mode = 0;
	if (S_ISSOCK(st.st_mode))
		sink->kind = SINK_SOCKET;
	else if (S_ISFIFO(st.st_mode))
		use_own(sink, open_again(fd), SINK_OWN, SINK_PIPE);
	else if (isatty(fd) == 1)
		use_own(sink, open_terminal(fd), SINK_TERMINAL, SINK_POLLED);
	errno = saved;
}

void
sink_own(struct sink *sink, int fd)
{
	*sink = (struct sink){ .fd = fd, .kind = SINK_OWN, .is_owned = true };
}

void
sink_close(struct sink *sink)
{
	if (sink->is_owned)
		close(sink->fd);
	sink->is_owned = false;
}

int
sink_open(const char *path, int how, mode_t mode)
{
	const int flags = how | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
	struct stat st;
	int fd = open(path, O_WRONLY | O_CREAT | flags, mode);
	if (fd < 0 && errno != ENXIO) /* a FIFO without a reader, or a socket */
		return -1;
	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode)))
		return fd;
	int saved = errno;
	int both = open(path, O_RDWR | flags);
	if (both < 0) {
		errno = saved;
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return both;
}

static ssize_t
write_polled(const struct sink *sink, const void *text, size_t length)
{
	struct pollfd poll_fd = { .fd = sink->fd, .events = POLLOUT };
	if (poll(&poll_fd, 1, 0) == 1)
		return write(sink->fd, text, length);
	errno = EAGAIN;
	return -1;
}

static ssize_t
write_pipe(struct sink *sink, const void *text, size_t length)
{
	const struct iovec vector = { .iov_base = (void *)text, .iov_len = length };
	ssize_t n = pwritev2(sink->fd, &vector, 1, -1, RWF_NOWAIT);
	if (n >= 0 || errno == EAGAIN || errno == EPIPE || errno == EBADF)
		return n;
	sink->kind = SINK_POLLED;
	return write_polled(sink, text, length);
}

/* A background process whose terminal has "tostop" would get SIGTTOU instead. */
static ssize_t
write_terminal(struct sink *sink, const void *text, size_t length,
    ssize_t (*how)(const struct sink *, const void *, size_t))
{
	sigset_t ttou, before;
	sigemptyset(&ttou);
	sigaddset(&ttou, SIGTTOU);
	sigprocmask(SIG_BLOCK, &ttou, &before);
	ssize_t n = how(sink, text, length);
	int saved = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = saved;
	return n;
}

static ssize_t
write_plain(const struct sink *sink, const void *text, size_t length)
{
	return write(sink->fd, text, length);
}

long
sink_write(struct sink *sink, const void *text, size_t length)
{
	switch (sink->kind) {
	case SINK_SOCKET:
		return send(sink->fd, text, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	case SINK_PIPE:
		return write_pipe(sink, text, length);
	case SINK_POLLED:
		return write_terminal(sink, text, length, write_polled);
	case SINK_TERMINAL:
		return write_terminal(sink, text, length, write_plain);
	case SINK_FILE:
	case SINK_OWN:
		break;
	}
	return write_plain(sink, text, length);
}

int
sink_write_line(struct sink *sink, const char *line, size_t length)
{
	if (sink->is_cut && sink_write(sink, "\n", 1) != 1)
		return -1;
	sink->is_cut = false;
	size_t done = 0;
	long n;
	do {
		n = sink_write(sink, line + done, length - done);
		done += n > 0 ? (size_t)n : 0;
		/* The next write to a file tells why this one was short. */
	} while (n > 0 && done < length && sink->kind == SINK_FILE);
	if (done == length)
		return 0;
	sink->is_cut = done > 0;
	if (n >= 0)
		errno = sink->kind == SINK_FILE ? ENOSPC : EAGAIN;
	return -1;
}

void
sink_wait(const struct sink *sink, int timeout_ms)
{
	struct pollfd poll_fd = { .fd = sink->fd, .events = POLLOUT };
	if (poll(&poll_fd, 1, timeout_ms) < 0)
		return;
}
