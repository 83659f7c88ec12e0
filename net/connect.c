#include "net/connect.h"

#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include <netinet/in.h>

#include "lib/clock.h"

#define WAIT_MAX_MS 2000000000u /* what an int holds */

/* The outcome of a connect() that goes on: 0, or -1 with errno. */
static int
wait_for(int fd, uint64_t timeout_ns)
{
	struct pollfd wait = { .fd = fd, .events = POLLOUT };
	uint64_t ms = (timeout_ns + NS_PER_MS - 1) / NS_PER_MS;
	int error = 0, ready;
	socklen_t length = sizeof(error);

	do
		ready = poll(&wait, 1,
		    timeout_ns == 0        ? -1
			: ms > WAIT_MAX_MS ? (int)WAIT_MAX_MS
					   : (int)ms);
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
	int error,
	    fd = socket(
		to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);

	if (fd < 0)
		return -1;
	if (connect(fd, to, address->length) == 0 ||
	    (errno == EINPROGRESS && wait_for(fd, timeout_ns) == 0))
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}
