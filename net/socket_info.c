#include "net/socket_info.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <errno.h>

#include <linux/bpf.h> /* the states of TCP, for the same reason */
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/tcp.h> /* tcpi_dsack_dups is not in <netinet/tcp.h> */
#include <netinet/in.h>

#include "lib/system/procfs.h"
#include "net/mptcp.h"

int
socket_info_option(int fd, int option)
{
	int value = -1;
	socklen_t length = sizeof(value);
	return getsockopt(fd, SOL_SOCKET, option, &value, &length) < 0 ? -1 : value;
}

int
socket_info_read_queue(int fd, struct accept_queue *ret)
{
	struct tcp_info info;
	socklen_t length = sizeof(info);
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0)
		return -1;
	ret->depth = info.tcpi_unacked;
	ret->limit = info.tcpi_sacked;
	return 0;
}

/* sk_drops, which the kernel counts with ListenDrops (net/ipv4/tcp_input.c,
 * tcp_listendrop). */
uint64_t
socket_info_read_drops(int fd)
{
	uint32_t memory[SK_MEMINFO_VARS] = { 0 };
	socklen_t length = sizeof(memory);
	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &length) < 0)
		return 0;
	return memory[SK_MEMINFO_DROPS];
}

static const char extended[] = "/proc/self/net/netstat";

uint64_t
socket_info_read_overflows(void)
{
	static uint64_t last;
	procfs_counter(extended, "TcpExt:", "ListenOverflows", &last);
	return last;
}

void
socket_info_read_network_counters(struct network_counters *ret)
{
	/* Keeps the last values if a file cannot be opened, so that no counter
	 * decreases. */
	static struct network_counters last;
	static const struct procfs_counter wanted[] = {
		{ "ListenOverflows", &last.listen_overflows },
		{ "ListenDrops", &last.listen_drops },
		{ "EmbryonicRsts", &last.handshakes_aborted },
		{ "SyncookiesSent", &last.syncookies_sent },
	};
	procfs_counters(
	    extended, "TcpExt:", wanted, sizeof(wanted) / sizeof(wanted[0]));
	/* Both were read at one time, or not at all. */
	if (last.listen_drops - last.listen_overflows > last.listen_refused &&
	    last.listen_drops >= last.listen_overflows)
		last.listen_refused = last.listen_drops - last.listen_overflows;
	procfs_counter("/proc/self/net/snmp", "Tcp:", "RetransSegs", &last.retransmits);
	*ret = last;
}

uint64_t
socket_info_retransmits(int fd)
{
	struct tcp_info info = { .tcpi_dsack_dups = 0 };
	socklen_t length = sizeof(info);
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0 ||
	    info.tcpi_total_retrans <= info.tcpi_dsack_dups)
		return 0;
	return info.tcpi_total_retrans - info.tcpi_dsack_dups;
}

bool
socket_info_has_syn_data(int fd)
{
	struct tcp_info info = { .tcpi_options = 0 };
	socklen_t length = sizeof(info);
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 &&
	    (info.tcpi_options & TCPI_OPT_SYN_DATA) != 0;
}

bool
socket_info_is_closed(int fd)
{
	struct tcp_info info;
	socklen_t length = sizeof(info);
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 &&
	    info.tcpi_state == BPF_TCP_CLOSE;
}

uint64_t
socket_info_unacknowledged(int fd)
{
	int bytes = 0;
	return ioctl(fd, SIOCOUTQ, &bytes) < 0 || bytes < 0 ? 0 : (uint64_t)bytes;
}

uint64_t
socket_info_unread(int fd)
{
	int bytes = 0;
	return ioctl(fd, SIOCINQ, &bytes) < 0 || bytes < 0 ? 0 : (uint64_t)bytes;
}

void
socket_info_set_keepalive(int fd, uint32_t seconds)
{
	const int time = (int)seconds, is_on = seconds > 0;
	if (is_on != 0) {
		(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &time, sizeof(time));
		(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &time, sizeof(time));
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &is_on, sizeof(is_on));
}

/* Readings of a busy connection until two in a row agree. */
#define READINGS_MAX 1000

struct reading {
	struct tcp_info info;
	int unread, unacknowledged; /* bytes */
};

static int
read_once(int fd, struct reading *ret)
{
	socklen_t length = sizeof(ret->info);
	*ret = (struct reading){ .unread = 0 };
	/* The queues are read between two readings of the counters. */
	return ioctl(fd, SIOCINQ, &ret->unread) < 0 ||
		ioctl(fd, SIOCOUTQ, &ret->unacknowledged) < 0 ||
		getsockopt(fd, IPPROTO_TCP, TCP_INFO, &ret->info, &length) < 0
	    ? -1
	    : 0;
}

static bool
is_equal(const struct reading *a, const struct reading *b)
{
	return a->info.tcpi_state == b->info.tcpi_state &&
	    a->info.tcpi_bytes_received == b->info.tcpi_bytes_received &&
	    a->info.tcpi_bytes_acked == b->info.tcpi_bytes_acked;
}

/* A FIN counts as a byte: in tcpi_bytes_received when the peer's has come, in SIOCOUTQ
 * and then tcpi_bytes_acked when ours is queued. SIOCINQ never counts it
 * (net/ipv4/tcp.c, tcp_inq). */
static bool
has_received_fin(uint8_t state)
{
	return state == BPF_TCP_CLOSE_WAIT || state == BPF_TCP_LAST_ACK ||
	    state == BPF_TCP_CLOSING || state == BPF_TCP_TIME_WAIT;
}

static bool
has_sent_fin(uint8_t state)
{
	return state == BPF_TCP_FIN_WAIT1 || state == BPF_TCP_FIN_WAIT2 ||
	    state == BPF_TCP_CLOSING || state == BPF_TCP_LAST_ACK ||
	    state == BPF_TCP_TIME_WAIT;
}

int
socket_info_read_position(int fd, struct stream_position *ret)
{
	struct reading before, now;
	/* TCP_INFO of an MPTCP socket is that of one subflow. */
	if (mptcp_subflows(fd) > 0) {
		*ret = (struct stream_position){ .is_closed = false };
		return mptcp_read_position(fd, &ret->received, &ret->sent);
	}
	if (read_once(fd, &before) < 0)
		return -1;
	for (int i = 0; i < READINGS_MAX; i++, before = now) {
		if (read_once(fd, &now) < 0)
			return -1;
		if (!is_equal(&before, &now))
			continue;
		uint8_t state = now.info.tcpi_state;
		*ret = (struct stream_position){ .is_closed = state == BPF_TCP_CLOSE };
		if (ret->is_closed)
			return 0;
		ret->received = now.info.tcpi_bytes_received - (uint64_t)now.unread -
		    has_received_fin(state);
		ret->sent = now.info.tcpi_bytes_acked + (uint64_t)now.unacknowledged -
		    has_sent_fin(state);
		return 0;
	}
	errno = EAGAIN;
	return -1;
}
