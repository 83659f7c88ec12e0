#include "proto/channel.h"

#include <sys/socket.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

int
channel_open(int ret_fds[2])
{
	return socketpair(
	    AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ret_fds);
}

union control {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

int
channel_send(int channel_fd, const struct channel_message *message, int fd)
{
	struct iovec part = { .iov_base = (void *)message,
		.iov_len = sizeof(*message) };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
	union control control = { 0 };
	if (fd >= 0) {
		header.msg_control = control.bytes;
		header.msg_controllen = sizeof(control.bytes);
		struct cmsghdr *c = CMSG_FIRSTHDR(&header);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	ssize_t n;
	do
		n = sendmsg(channel_fd, &header, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -1 : 0;
}

int
channel_receive(int channel_fd, struct channel_message *ret, int *ret_fd)
{
	struct channel_message message;
	struct iovec part = { .iov_base = &message, .iov_len = sizeof(message) };
	union control control = { 0 };
	struct msghdr header = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		/* Its padding would have room for a second one. */
		.msg_controllen = CMSG_LEN(sizeof(int)),
	};
	ssize_t n;
	/* ECONNRESET: the other side has ended and left something unread. That is told
	 * once, before what it has said and its end. */
	do
		n = recvmsg(channel_fd, &header, MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0)
		return -1;
	int fd = -1;
	struct cmsghdr *c = CMSG_FIRSTHDR(&header);
	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	/* An empty packet is no end: nothing comes along with that. */
	if (n == 0 && fd < 0)
		return 0;
	if (n != (ssize_t)sizeof(message) || (header.msg_flags & MSG_TRUNC)) {
		if (fd >= 0)
			close(fd);
		errno = EPROTO;
		return -1;
	}
	*ret = message;
	*ret_fd = fd;
	return 1;
}
