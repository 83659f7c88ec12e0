#include "net/connect.h"

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>

#include "lib/clock.h"
#include "net/mptcp.h"

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

static int
connect_inet(const struct address *address, int protocol, uint64_t timeout_ns)
{
	const struct sockaddr *to = (const struct sockaddr *)&address->storage;
	int fd =
	    socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		return -1;
	if (connect(fd, to, address->length) == 0 ||
	    (errno == EINPROGRESS && wait_for(fd, timeout_ns) == 0))
		return fd;
	return close_failed(fd);
}

int
connect_tcp(const struct address *address, uint64_t timeout_ns)
{
	return connect_inet(address, IPPROTO_TCP, timeout_ns);
}

/* A non-blocking connect() does not wait for room in the accept queue (unix(7),
 * EAGAIN), one with a timeout does. The descriptor blocks. */
static int
connect_unix_address(const struct address *address, uint64_t timeout_ns)
{
	const struct sockaddr *to = (const struct sockaddr *)&address->storage;
	uint64_t deadline_ns = clock_now_ns() + timeout_ns;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	int rc;
	do {
		const struct timeval timeout = clock_timeval(timeout_ns);
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
		rc = connect(fd, to, address->length);
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
connect_unix(const char *path, uint64_t timeout_ns)
{
	struct address to = { .length = sizeof(to.un) };
	if (strlen(path) >= sizeof(to.un.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	to.un.sun_family = AF_UNIX;
	strcpy(to.un.sun_path, path);
	return connect_unix_address(&to, timeout_ns);
}

int
connect_stream(const struct address *address, uint64_t timeout_ns)
{
	if (!address_is_unix(address))
		return connect_inet(address,
		    address->is_mptcp ? IPPROTO_MPTCP : IPPROTO_TCP, timeout_ns);
	int fd = connect_unix_address(address, timeout_ns);
	if (fd < 0 || fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) == 0)
		return fd;
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

static const char *
unix_error_text(int error)
{
	switch (error) {
	case ENOENT:
		return "no such socket file";
	case ECONNREFUSED:
		return "no process listens on this socket";
	case EACCES:
	case EPERM:
		return "no permission to connect (mode, owner and group of the socket file)";
	case EAGAIN:
	case ETIMEDOUT:
		return "the accept queue stayed full";
	default:
		return strerror(error);
	}
}

const char *
connect_error_text(const struct address *address, int error)
{
	if (address_is_unix(address))
		return unix_error_text(error);
	if (address->is_mptcp && (error == ENOPROTOOPT || error == EPROTONOSUPPORT))
		return "the kernel has no MPTCP, or net.mptcp.enabled is 0";
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
