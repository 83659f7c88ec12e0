#include "net/receive_time.h"

#include <sys/socket.h>

#include <string.h>
#include <unistd.h>

#include "lib/clock.h"

int
receive_time_enable(int fd)
{
	int on = 1;
	return setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
}

int
receive_time_hold(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && receive_time_enable(fd) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static uint64_t
since_arrival(const struct cmsghdr *stamp)
{
	uint64_t now_ns = clock_read_ns(CLOCK_REALTIME), arrived_ns;
	struct timespec arrived;
	memcpy(&arrived, CMSG_DATA(stamp), sizeof(arrived));
	arrived_ns = (uint64_t)arrived.tv_sec * NS_PER_S + (uint64_t)arrived.tv_nsec;
	/* Otherwise the clock was set back. */
	return now_ns > arrived_ns ? now_ns - arrived_ns : 0;
}

ssize_t
receive_time_recv(int fd, void *data, size_t size, uint64_t *ret_waited_ns)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct timespec))];
	} control;
	struct iovec vector = { .iov_base = data, .iov_len = size };
	struct msghdr message = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(fd, &message, 0);
	*ret_waited_ns = RECEIVE_TIME_UNKNOWN;
	if (n <= 0)
		return n;
	const struct cmsghdr *stamp = CMSG_FIRSTHDR(&message);
	if (stamp != NULL && stamp->cmsg_level == SOL_SOCKET &&
	    stamp->cmsg_type == SCM_TIMESTAMPNS)
		*ret_waited_ns = since_arrival(stamp);
	return n;
}
