#include "net/connect.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>

#include "lib/clock.h"

static int
close_failed(int fd)
{
	int saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* The outcome of a connect() in progress: 0, or -1 with errno. */
static int
wait_for(int fd, uint64_t timeout_ns)
{
	struct pollfd wait = { .fd = fd, .events = POLLOUT };
	uint64_t ms = (timeout_ns + NS_PER_MS - 1) / NS_PER_MS;
	int timeout_ms = timeout_ns == 0 ? -1 : ms > INT_MAX ? INT_MAX : (int)ms;
	int error = 0, ready;
	socklen_t length = sizeof(error);
	do
		ready = poll(&wait, 1, timeout_ms);
	while (ready < 0 && errno == EINTR);
	if (ready == 0)
		error = ETIMEDOUT;
	else if (ready < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		error = errno;
	errno = error;
	return error == 0 ? 0 : -1;
}

int
connect_tcp(const struct address *address, uint64_t timeout_ns)
{
	const struct sockaddr *to = (const struct sockaddr *)&address->storage;
	int fd = socket(
	    to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd < 0)
		return -1;
	if (connect(fd, to, address->length) == 0 ||
	    (errno == EINPROGRESS && wait_for(fd, timeout_ns) == 0))
		return fd;
	return close_failed(fd);
}

/* A non-blocking connect() does not wait for room in the accept queue (unix(7),
 * EAGAIN), one with a timeout does. */
int
connect_unix(const char *path, uint64_t timeout_ns)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	uint64_t deadline_ns = clock_now_ns() + timeout_ns;
	if (strlen(path) >= sizeof(to.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(to.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	int rc;
	do {
		const struct timeval timeout = clock_timeval(timeout_ns);
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
		rc = connect(fd, (const struct sockaddr *)&to, sizeof(to));
		uint64_t now_ns = clock_now_ns();
		timeout_ns =
		    deadline_ns > now_ns + NS_PER_MS ? deadline_ns - now_ns : NS_PER_MS;
	} while (rc < 0 && errno == EINTR);
	if (rc == 0)
		return fd;
	errno = errno == EAGAIN ? ETIMEDOUT : errno;
	return close_failed(fd);
}

int
connect_bind_source(int fd, const struct address *source)
{
	int on = 1;
	if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) < 0)
		return -1;
	return bind(fd, (const struct sockaddr *)&source->storage, source->length);
}

const char *
connect_error_text(int error)
{
	switch (error) {
	case EACCES:
	case EPERM:
		return "prohibited by a firewall or route";
	case EADDRNOTAVAIL:
		return "no local port is free";
	case ENODEV:
		return "the source address is not an address of this machine";
	default:
		return strerror(error);
	}
}
