#include "proto/transfer.h"

#include <sys/socket.h>

#include <errno.h>
#include <string.h>

_Static_assert(sizeof(struct transfer_record) == 56, "the layout of a record is fixed");

union control {
	char bytes[CMSG_SPACE((TRANSFER_BATCH_MAX + 1) * sizeof(int))];
	struct cmsghdr align;
};

int
transfer_packet_send(
    int fd, const void *packet, size_t length, const int *fds, size_t count)
{
	struct iovec part = { .iov_base = (void *)packet, .iov_len = length };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
	union control control;
	if (count > 0) {
		memset(&control, 0, sizeof(control));
		header.msg_control = control.bytes;
		header.msg_controllen = CMSG_SPACE(count * sizeof(int));
		struct cmsghdr *c = &control.align;
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	}
	ssize_t n;
	do
		n = sendmsg(fd, &header, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -1 : 0;
}

ssize_t
transfer_packet_receive(
    int fd, union transfer_packet *ret, int *ret_fds, size_t *ret_count)
{
	struct iovec part = { .iov_base = ret, .iov_len = sizeof(*ret) };
	union control control;
	struct msghdr header = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		/* Its padding would have room for one more. */
		.msg_controllen = CMSG_LEN((TRANSFER_BATCH_MAX + 1) * sizeof(int)),
	};
	*ret_count = 0;
	ssize_t n;
	/* ECONNRESET: the other side has ended and left something unread. That is told
	 * once, before what it has said and its end. */
	do
		n = recvmsg(fd, &header, MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0)
		return n;
	struct cmsghdr *c = CMSG_FIRSTHDR(&header);
	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		*ret_count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(ret_fds, CMSG_DATA(c), *ret_count * sizeof(int));
	}
	/* An empty packet is no end: nothing comes along with that. */
	if (n == 0 && *ret_count == 0)
		return 0;
	if ((size_t)n < sizeof(struct transfer_note)) {
		errno = EPROTO;
		return -1;
	}
	return n;
}

size_t
transfer_batch_bytes(uint32_t count)
{
	return offsetof(struct transfer_batch, records) +
	    count * sizeof(struct transfer_record);
}
