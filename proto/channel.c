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
	char bytes[CMSG_SPACE(CHANNEL_PACKET_FDS_MAX * sizeof(int))];
	struct cmsghdr align;
};

int
channel_packet_send(int channel_fd, const struct channel_packet *packet)
{
	struct iovec part = { .iov_base = packet->data, .iov_len = packet->length };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
	union control control;
	size_t fd_bytes = packet->fd_count * sizeof(int);
	if (fd_bytes > 0) {
		memset(&control, 0, sizeof(control));
		header.msg_control = control.bytes;
		header.msg_controllen = CMSG_SPACE(fd_bytes);
		struct cmsghdr *c = &control.align;
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(fd_bytes);
		memcpy(CMSG_DATA(c), packet->fds, fd_bytes);
	}
	ssize_t n;
	do
		n = sendmsg(channel_fd, &header, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -1 : 0;
}

int
channel_packet_receive(int channel_fd, struct channel_packet *packet)
{
	struct iovec part = { .iov_base = packet->data, .iov_len = packet->length };
	union control control;
	struct msghdr header = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		/* CMSG_SPACE would leave room for one more in the padding. */
		.msg_controllen = CMSG_LEN(packet->fd_count * sizeof(int)),
	};
	ssize_t n;
	/* ECONNRESET: the peer has closed with data unread. It is reported once, before
	 * the packets of the peer and the end of file. */
	do
		n = recvmsg(channel_fd, &header, MSG_CMSG_CLOEXEC | MSG_TRUNC);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0)
		return -1;
	packet->length = (size_t)n;
	packet->fd_count = 0;
	struct cmsghdr *c = CMSG_FIRSTHDR(&header);
	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		packet->fd_count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(packet->fds, CMSG_DATA(c), packet->fd_count * sizeof(int));
	}
	/* An empty packet with a descriptor is not the end of file. */
	return n > 0 || packet->fd_count > 0;
}

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

void
channel_refuse_fds(int channel_fd)
{
	const int no = 0;
	(void)setsockopt(channel_fd, SOL_SOCKET, SO_PASSRIGHTS, &no, sizeof(no));
}

void
channel_discard_fds(const int *fds, size_t count)
{
	const struct linger off = { .l_onoff = 0 };
	for (size_t i = 0; i < count; i++) {
		/* Fails for what is not a socket. */
		(void)setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &off, sizeof(off));
		close(fds[i]);
	}
}

int
channel_send(int channel_fd, const struct channel_message *message, int fd)
{
	const struct channel_packet packet = { .data = (void *)message,
		.length = sizeof(*message),
		.fds = &fd,
		.fd_count = fd >= 0 };
	return channel_packet_send(channel_fd, &packet);
}

int
channel_receive(int channel_fd, struct channel_message *ret, int *ret_fd)
{
	struct channel_message message;
	int fd = -1;
	struct channel_packet packet = {
		.data = &message, .length = sizeof(message), .fds = &fd, .fd_count = 1
	};
	int rc = channel_packet_receive(channel_fd, &packet);
	if (rc <= 0)
		return rc;
	if (packet.length != sizeof(message)) {
		channel_discard_fds(&fd, fd >= 0);
		errno = EPROTO;
		return -1;
	}
	*ret = message;
	*ret_fd = fd;
	return 1;
}
