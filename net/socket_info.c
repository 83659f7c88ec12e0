#include "net/socket_info.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/tcp.h> /* tcpi_dsack_dups is not in <netinet/tcp.h> */
#include <netinet/in.h>

#include "lib/system/procfs.h"

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

void
socket_info_read_network_counters(struct network_counters *ret)
{
	/* Keeps the last values if a file cannot be opened, so that no counter
	 * decreases. */
	static struct network_counters last;
	static const char extended[] = "/proc/self/net/netstat";
	procfs_counter(extended, "TcpExt:", "ListenOverflows", &last.listen_overflows);
	procfs_counter(extended, "TcpExt:", "ListenDrops", &last.listen_drops);
	procfs_counter(extended, "TcpExt:", "SyncookiesSent", &last.syncookies_sent);
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

uint64_t
socket_info_unacknowledged(int fd)
{
	int bytes = 0;
	return ioctl(fd, SIOCOUTQ, &bytes) < 0 || bytes < 0 ? 0 : (uint64_t)bytes;
}
