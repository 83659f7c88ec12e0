#include "net/mptcp.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include <linux/sockios.h>

/* The beginning of struct mptcp_info (Linux 6.5; older ones have less of it). */
struct info {
	uint8_t subflows; /* beside the first one */
	uint8_t addresses[5];
	uint32_t flags, token;
	uint64_t write_seq, snd_una, rcv_nxt;
	uint8_t local[3];
	uint32_t retransmits;
	uint64_t bytes_retrans, bytes_sent, bytes_received, bytes_acked;
};
_Static_assert(sizeof(struct info) == 80, "layout of the kernel");

static socklen_t
read_info(int fd, struct info *ret)
{
	socklen_t length = sizeof(*ret);
	*ret = (struct info){ .subflows = 0 };
	return getsockopt(fd, MPTCP_LEVEL, MPTCP_INFO_OPTION, ret, &length) < 0
	    ? 0
	    : length;
}

bool
mptcp_is_available(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
	if (fd < 0)
		fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

uint32_t
mptcp_subflows(int fd)
{
	struct info info;
	return read_info(fd, &info) == 0 ? 0 : info.subflows + UINT32_C(1);
}

/* Readings of a busy connection until two in a row agree. */
#define READINGS_MAX 1000

int
mptcp_read_position(int fd, uint64_t *ret_received, uint64_t *ret_sent)
{
	struct info before = { .subflows = 0 }, now;
	for (int i = 0; i < READINGS_MAX; i++, before = now) {
		int unread, unacknowledged;
		/* Once the peer has closed, its FIN counts as an unread byte
		 * (net/mptcp/protocol.c, mptcp_inq_hint). */
		struct pollfd end = { .fd = fd, .events = POLLRDHUP };
		if (ioctl(fd, SIOCINQ, &unread) < 0 ||
		    ioctl(fd, SIOCOUTQ, &unacknowledged) < 0 || poll(&end, 1, 0) < 0)
			return -1;
		if (read_info(fd, &now) < sizeof(now)) {
			errno = EOPNOTSUPP;
			return -1;
		}
		if (i == 0 || now.bytes_received != before.bytes_received ||
		    now.bytes_acked != before.bytes_acked)
			continue;
		*ret_received = now.bytes_received - (uint64_t)unread +
		    ((end.revents & POLLRDHUP) != 0);
		*ret_sent = now.bytes_acked + (uint64_t)unacknowledged;
		return 0;
	}
	errno = EAGAIN;
	return -1;
}
